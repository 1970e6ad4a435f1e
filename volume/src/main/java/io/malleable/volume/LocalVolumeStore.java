package io.malleable.volume;

import io.malleable.volume.GuardedCatalogue.Held;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Volumes as chains of copy-on-write layers in a directory of the local file system; the format is
 * described in {@code docs/formats/local-volume-store.md}.
 *
 * <p>What each call means and refuses is here. Its parts: the {@link Catalogue} of volumes and
 * layers behind one lock, the {@link ActiveVolumes} that are in use, and the {@link Maintenance}
 * that goes on in the background. Only one process can have a store open.
 */
public final class LocalVolumeStore implements VolumeStore {
  private static final Logger LOG = System.getLogger(LocalVolumeStore.class.getName());

  static final int SECTOR_BYTES = 512;

  /** 2^40 blocks of 4 KiB would fit the format; this is what fits in an int of map pages. */
  static final long MAX_SIZE_BYTES = 1L << 50;

  private final StoreFiles files;

  /** Ends this process's hold on the directory when it is closed. */
  private final @Nullable Closeable hold;

  private final SpaceGuard space;
  private final GuardedCatalogue guard;
  private final IntentTable intents;
  private final ActiveVolumes volumes;
  private final Maintainer maintainer = new Maintainer();
  private final Maintenance maintenance;
  private final DiskCare care;

  /**
   * How a store behaves.
   *
   * @param reserveBytes growth is refused when less than this is left on the file system
   * @param packedDepth chains in use of so many layers are packed into fewer files
   * @param packBlocks what one such file holds at most, in blocks of 4 KiB
   * @param mapMemoryBytes what maps of volumes in use may take of the heap, one disk's a third of
   *     it
   * @param quiet parts of a disk that were not written to for so long get checksums
   */
  public record Settings(
      long reserveBytes, int packedDepth, int packBlocks, long mapMemoryBytes, Duration quiet) {
    private static final int PACKED_DEPTH = 8;
    private static final Duration QUIET = Duration.ofSeconds(30);

    /** Packs at the usual depth. */
    public Settings(long reserveBytes) {
      this(reserveBytes, PACKED_DEPTH);
    }

    /** Packs of the usual size. */
    public Settings(long reserveBytes, int packedDepth) {
      this(reserveBytes, packedDepth, Pack.MAX_BLOCKS);
    }

    /** Half of the heap for maps. */
    public Settings(long reserveBytes, int packedDepth, int packBlocks) {
      this(reserveBytes, packedDepth, packBlocks, QUIET);
    }

    /** Checksums after the usual time. */
    public Settings(long reserveBytes, int packedDepth, int packBlocks, long mapMemoryBytes) {
      this(reserveBytes, packedDepth, packBlocks, mapMemoryBytes, QUIET);
    }

    /** Half of the heap for maps, checksums after another time. */
    public Settings(long reserveBytes, int packedDepth, int packBlocks, Duration quiet) {
      this(reserveBytes, packedDepth, packBlocks, Runtime.getRuntime().maxMemory() / 2, quiet);
    }

    /** Leaves 256 MiB to whoever shares the file system, our own metadata and the database. */
    public static Settings defaults() {
      return new Settings(256L << 20);
    }
  }

  private LocalVolumeStore(
      StoreFiles files, Settings settings, Catalogue catalogue, @Nullable Closeable hold) {
    this.files = files;
    this.hold = hold;
    this.space = new SpaceGuard(files, settings.reserveBytes(), System::nanoTime);
    this.guard = new GuardedCatalogue(catalogue);
    this.intents = new IntentTable(files);
    this.volumes =
        new ActiveVolumes(guard, files, space, intents, maintainer, settings.packedDepth());
    Merging merging = new Merging(guard, volumes, files, space, maintainer::ending);
    Packing packing = new Packing(guard, volumes, files, settings, maintainer::ending);
    this.maintenance = new Maintenance(guard, volumes, files, maintainer, merging, packing);
    this.care = new DiskCare(volumes, space, settings.quiet(), System::nanoTime);
  }

  /** Opens the store in a directory, which is created when absent. */
  public static LocalVolumeStore open(Path directory) throws IOException {
    return open(directory, Settings.defaults());
  }

  /**
   * Opens the store in a directory, which is created when absent.
   *
   * @throws VolumeException {@code UNAVAILABLE} when another process has it open, {@code CORRUPT}
   *     when it is a copy of an open one
   */
  public static LocalVolumeStore open(Path directory, Settings settings) throws IOException {
    Files.createDirectories(directory);
    DirectoryLock lock = DirectoryLock.take(directory);
    try {
      StoreMark mark = StoreMark.open(directory);
      Closeable hold = () -> StoreFile.closeAll(List.<Closeable>of(mark::close, lock));
      LocalVolumeStore store = open(new LocalFiles(directory), settings, hold);
      store.maintainer.start(store.maintenance::runAll);
      store.care.start();
      return store;
    } catch (IOException | RuntimeException e) {
      lock.close();
      throw e;
    }
  }

  /** For tests: without a lock, on any files, with maintenance only when called for. */
  static LocalVolumeStore open(StoreFiles files, Settings settings) throws IOException {
    return open(files, settings, null);
  }

  private static LocalVolumeStore open(
      StoreFiles files, Settings settings, @Nullable Closeable hold) throws IOException {
    Catalogue catalogue =
        Catalogue.load(files, new MapMemory(settings.mapMemoryBytes()), StoreScan.Access.MAINTAIN);
    LocalVolumeStore store = new LocalVolumeStore(files, settings, catalogue, hold);
    store.intents.load(WriteIntent.replayAll(files, store));
    return store;
  }

  /**
   * Opens a store that exists to read it, above all to {@link #verify} it: nothing in it changes,
   * not even what the next start would remove or finish. What would change it is refused.
   *
   * @throws VolumeException {@code UNAVAILABLE} when another process has it open
   */
  public static LocalVolumeStore openForReading(Path directory) throws IOException {
    DirectoryLock lock = DirectoryLock.take(directory);
    try {
      StoreMark.check(directory);
      StoreFiles files = new ReadOnlyFiles(new LocalFiles(directory));
      Catalogue catalogue = Catalogue.load(files, MapMemory.unlimited(), StoreScan.Access.READ);
      return new LocalVolumeStore(files, Settings.defaults(), catalogue, lock);
    } catch (IOException | RuntimeException e) {
      lock.close();
      throw e;
    }
  }

  @Override
  public VolumeInfo create(UUID id, long sizeBytes) throws IOException {
    checkSize(sizeBytes);
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      Optional<VolumeRecord> existing = catalogue.find(id);
      if (existing.isPresent()) {
        return catalogue.sameOrRefuse(existing.get(), sizeBytes, Optional.empty());
      }
      VolumeRecord volume =
          new VolumeRecord(
              id, false, sizeBytes, UUID.randomUUID(), Optional.empty(), Optional.empty());
      catalogue.addOnNewLayer(volume, Optional.empty());
      return catalogue.info(volume);
    }
  }

  @Override
  public VolumeInfo clone(UUID id, UUID parent, long sizeBytes) throws IOException {
    checkSize(sizeBytes);
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      Optional<VolumeRecord> existing = catalogue.find(id);
      if (existing.isPresent()) {
        return catalogue.sameOrRefuse(existing.get(), sizeBytes, Optional.of(parent));
      }
      VolumeRecord origin = catalogue.get(parent);
      if (!origin.sealed()) {
        throw new VolumeException(
            Reason.NOT_SEALED,
            "volume " + parent + " can still be written; take a snapshot and clone that");
      }
      if (sizeBytes < origin.sizeBytes()) {
        throw new VolumeException(
            Reason.INVALID_SIZE,
            "size %d is less than the %d of volume %s"
                .formatted(sizeBytes, origin.sizeBytes(), parent));
      }
      VolumeRecord volume =
          new VolumeRecord(
              id, false, sizeBytes, UUID.randomUUID(), Optional.of(parent), Optional.empty());
      catalogue.addOnNewLayer(volume, Optional.of(origin.layer()));
      return catalogue.info(volume);
    }
  }

  private static void checkSize(long sizeBytes) throws VolumeException {
    if (sizeBytes <= 0 || sizeBytes % SECTOR_BYTES != 0 || sizeBytes > MAX_SIZE_BYTES) {
      throw new VolumeException(
          Reason.INVALID_SIZE,
          "size %d must be a positive multiple of %d, at most %d"
              .formatted(sizeBytes, SECTOR_BYTES, MAX_SIZE_BYTES));
    }
  }

  @Override
  public VolumeInfo snapshot(UUID id, UUID disk) throws IOException {
    ActiveVolume source;
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      Optional<VolumeInfo> existing = Freezing.existing(catalogue, id, disk);
      if (existing.isPresent()) {
        return existing.get();
      }
      catalogue.get(disk).refuseSealed();
      source = volumes.activate(catalogue, disk);
    }
    try {
      return new Freezing(guard, source, maintainer).snapshot(id);
    } finally {
      volumes.deactivate(source);
    }
  }

  @Override
  public VolumeInfo seal(UUID id) throws IOException {
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      if (!catalogue.get(id).sealed()) {
        volumes.refuseInUse(id);
      }
      VolumeRecord volume = catalogue.get(id);
      if (!volume.sealed()) {
        volume = volume.asSealed();
        catalogue.replace(volume);
        maintainer.soon();
      }
      return catalogue.info(volume);
    }
  }

  @Override
  public VolumeInfo rollback(UUID disk, UUID snapshot) throws IOException {
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      volumes.refuseInUse(disk);
      VolumeRecord volume = catalogue.get(disk);
      VolumeRecord origin = catalogue.get(snapshot);
      if (!origin.disk().equals(Optional.of(disk))) {
        throw new VolumeException(
            Reason.NOT_A_SNAPSHOT_OF_DISK,
            "volume %s is not a snapshot of disk %s; create a disk from it instead"
                .formatted(snapshot, disk));
      }
      volume.refuseSealed();
      intents.forget(disk);
      UUID fresh = UUID.randomUUID();
      catalogue.layers().create(fresh, Optional.of(origin.layer()));
      VolumeRecord after =
          new VolumeRecord(disk, false, origin.sizeBytes(), fresh, origin.parent(), volume.disk());
      try {
        catalogue.replace(after);
      } catch (IOException e) {
        // Which of the two records a crash would leave is not known: both layers stay until then.
        throw new IOException("cannot roll back " + disk + ": " + e.getMessage(), e);
      }
      maintenance.tryAgainSoon();
      return catalogue.info(after);
    }
  }

  @Override
  public VolumeInfo resize(UUID disk, long sizeBytes) throws IOException {
    checkSize(sizeBytes);
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      VolumeRecord volume = catalogue.get(disk);
      volume.refuseSealed();
      if (sizeBytes < volume.sizeBytes()) {
        throw new VolumeException(
            Reason.INVALID_SIZE,
            "size %d is less than the present %d; disks only grow"
                .formatted(sizeBytes, volume.sizeBytes()));
      }
      ActiveVolume open = volumes.find(disk);
      if (open != null) {
        open.settle();
      }
      VolumeRecord after = volume.withSize(sizeBytes);
      catalogue.replace(after);
      if (open != null) {
        open.resize(sizeBytes);
      }
      return catalogue.info(after);
    }
  }

  @Override
  public void flatten(UUID disk) throws IOException {
    flatten(disk, TransferProgress.NONE);
  }

  @Override
  public void flatten(UUID disk, TransferProgress progress) throws IOException {
    ActiveVolume target;
    try (Held held = guard.hold()) {
      held.catalogue().get(disk).refuseSealed();
      target = volumes.activate(held.catalogue(), disk);
    }
    try {
      new Flattening(guard, target, space, maintenance, progress).run();
    } finally {
      volumes.deactivate(target);
    }
  }

  @Override
  public Set<UUID> lostWrites() throws IOException {
    try (Held held = guard.hold()) {
      return held.catalogue().lostWrites();
    }
  }

  @Override
  public void forgetLostWrites(UUID disk) throws IOException {
    try (Held held = guard.hold()) {
      held.catalogue().forgetLostWrites(disk);
    }
  }

  @Override
  public Map<UUID, VolumeFault> faults() {
    return volumes.faults();
  }

  @Override
  public void delete(UUID id) throws IOException {
    List<String> garbage;
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      volumes.refuseInUse(id);
      List<UUID> clones = catalogue.cloned(id);
      if (!clones.isEmpty()) {
        throw new VolumeException(
            Reason.HAS_DEPENDANTS,
            "volume %s has clones: %s; delete or flatten them first".formatted(id, clones));
      }
      intents.forget(id);
      if (catalogue.removeDamaged(id)) {
        return;
      }
      Optional<VolumeRecord> volume = catalogue.find(id);
      if (volume.isEmpty()) {
        return;
      }
      garbage = catalogue.remove(volume.get());
      maintenance.tryAgainSoon();
    }
    // Without the lock: giving back what is scattered over a device takes its time.
    for (String name : garbage) {
      maintenance.deleteFile(name);
    }
  }

  @Override
  public Optional<VolumeInfo> find(UUID id) throws IOException {
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      Optional<VolumeRecord> volume = catalogue.find(id);
      return volume.isPresent() ? Optional.of(catalogue.info(volume.get())) : Optional.empty();
    }
  }

  @Override
  public List<VolumeInfo> list() throws IOException {
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      List<VolumeInfo> infos = new ArrayList<>();
      for (VolumeRecord volume : catalogue.all()) {
        infos.add(catalogue.info(volume));
      }
      return infos;
    }
  }

  @Override
  public Volume open(UUID id) throws IOException {
    try (Held held = guard.hold()) {
      return volumes.openHandle(held.catalogue(), id);
    }
  }

  @Override
  public Capacity capacity() throws IOException {
    List<UUID> layers;
    try (Held held = guard.hold()) {
      layers = held.catalogue().layers().all();
    }
    long allocated = StoreLayout.allocatedBytes(files, layers);
    return new Capacity(files.totalBytes(), availableBytes(), allocated);
  }

  @Override
  public long availableBytes() throws IOException {
    return Math.max(0, files.availableBytes() - space.reserveBytes());
  }

  /**
   * Flushes and closes every open volume, and the store. Whoever waits in another call is refused,
   * and what works on a volume is waited for; as long as it does not end, the directory stays
   * locked, so that no other process takes it over.
   */
  @Override
  public void close() throws IOException {
    if (!guard.close()) {
      return;
    }
    care.end();
    boolean stillMaintained = !maintainer.end();
    List<Closeable> parts = new ArrayList<>(volumes.handles());
    parts.add(() -> closeIdle(stillMaintained));
    StoreFile.closeAll(parts);
  }

  private void closeIdle(boolean stillMaintained) throws IOException {
    if (stillMaintained || !volumes.awaitNone()) {
      LOG.log(
          Level.ERROR,
          "the volume store is still written to; its directory stays locked until this process ends");
      return;
    }
    SumsTable sums = guard.with(catalogue -> catalogue.layers().sums());
    StoreFile.closeAll(Arrays.asList(sums, hold));
  }

  /**
   * Does now what is otherwise done in the background: recovers what failed, merges what deleted
   * snapshots left, packs deep chains, computes checksums. Waits for such work that is under way.
   */
  public void maintain() throws IOException {
    care.runAll();
    maintenance.runAll();
  }

  /** For tests: one turn of what is done every few seconds for the disks that are open. */
  void lookAfterDisks() throws IOException {
    care.runAll();
  }

  /** Without waiting for the turn that the disk, which is open, would get in the background. */
  void recoverIfFailed(UUID disk) {
    if (volumes.failures().containsKey(disk)) {
      care.recover(disk);
    }
  }

  /** For tests: one turn of what the background does; whether there was a reason for it. */
  boolean maintainIfDue() throws IOException {
    if (!maintainer.takeDue()) {
      return false;
    }
    maintenance.runAll();
    return true;
  }

  /** For tests: what open volumes read from, without the layers that they write to. */
  Set<ChainView> frozenViews() throws IOException {
    return guard.with(catalogue -> volumes.frozenViews());
  }

  /**
   * Reads everything and compares it with its checksums, where there are some. Takes as long as
   * reading the whole store does; volumes stay usable.
   */
  public VerifyReport verify(TransferProgress progress) throws IOException {
    return new Scrub(guard, files, progress).run();
  }
}
