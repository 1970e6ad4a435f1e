package io.malleable.volume.local;

import static java.util.function.Function.identity;
import static java.util.stream.Collectors.toMap;

import io.malleable.volume.Capacity;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeFault;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.GuardedCatalogue.Held;
import java.io.Closeable;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    this.guard = new GuardedCatalogue(files, catalogue);
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
    VolumeStore.requireSize(sizeBytes);
    VolumeSizes sizes;
    try (Held held = guard.hold()) {
      sizes = held.catalogue().create(id, sizeBytes);
    }
    return sizes.ofOne(files);
  }

  @Override
  public VolumeInfo clone(UUID id, UUID parent, long sizeBytes) throws IOException {
    VolumeStore.requireSize(sizeBytes);
    VolumeSizes sizes;
    try (Held held = guard.hold()) {
      sizes = held.catalogue().clone(id, parent, sizeBytes);
    }
    return sizes.ofOne(files);
  }

  @Override
  public VolumeInfo snapshot(UUID id, UUID disk) throws IOException {
    return snapshotSizes(id, disk).ofOne(files);
  }

  private VolumeSizes snapshotSizes(UUID id, UUID disk) throws IOException {
    try (Held held = guard.hold()) {
      Catalogue catalogue = held.catalogue();
      Optional<VolumeSizes> existing = Freezing.existing(catalogue, id, disk);
      if (existing.isPresent()) {
        return existing.get();
      }
      catalogue.get(disk).refuseSealed();
    }
    ActiveVolume source = volumes.activate(disk);
    try {
      return new Freezing(guard, source, maintainer).snapshot(id);
    } finally {
      volumes.deactivate(source);
    }
  }

  @Override
  public VolumeInfo seal(UUID id) throws IOException {
    VolumeSizes sizes;
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
      sizes = catalogue.sizes(volume);
    }
    return sizes.ofOne(files);
  }

  @Override
  public VolumeInfo rollback(UUID disk, UUID snapshot) throws IOException {
    VolumeSizes sizes;
    try (Held held = guard.hold()) {
      volumes.refuseInUse(disk);
      sizes = rollBackNow(held.catalogue(), disk, snapshot);
      maintenance.tryAgainSoon();
    }
    return sizes.ofOne(files);
  }

  private VolumeSizes rollBackNow(Catalogue catalogue, UUID disk, UUID snapshot)
      throws IOException {
    VolumeRecord after = catalogue.rolledBack(disk, snapshot);
    intents.forget(disk);
    catalogue.layers().create(after.layer(), Optional.of(catalogue.get(snapshot).layer()));
    try {
      catalogue.replace(after);
    } catch (IOException e) {
      // Which of the two records a crash would leave is not known: both layers stay until then.
      throw new IOException("cannot roll back " + disk + ": " + e.getMessage(), e);
    }
    return catalogue.sizes(after);
  }

  @Override
  public VolumeInfo resize(UUID disk, long sizeBytes) throws IOException {
    VolumeStore.requireSize(sizeBytes);
    ActiveVolume used;
    VolumeSizes sizes = null;
    try (Held held = guard.hold()) {
      VolumeRecord after = held.catalogue().resized(disk, sizeBytes);
      used = volumes.joinIfInUse(disk);
      if (used == null) {
        held.catalogue().replace(after);
        sizes = held.catalogue().sizes(after);
      }
    }
    if (used != null) {
      try {
        sizes = resizeInUse(used, sizeBytes);
      } finally {
        volumes.deactivate(used);
      }
    }
    return Objects.requireNonNull(sizes).ofOne(files);
  }

  private VolumeSizes resizeInUse(ActiveVolume used, long sizeBytes) throws IOException {
    used.chainLock().lock();
    try {
      // The record that a change of layers still owes would take the old size back.
      used.settle();
      try (Held held = guard.hold()) {
        VolumeRecord after = held.catalogue().resized(used.id(), sizeBytes);
        held.catalogue().replace(after);
        used.resize(sizeBytes);
        return held.catalogue().sizes(after);
      }
    } finally {
      used.chainLock().unlock();
    }
  }

  @Override
  public void flatten(UUID disk) throws IOException {
    flatten(disk, TransferProgress.NONE);
  }

  @Override
  public void flatten(UUID disk, TransferProgress progress) throws IOException {
    try (Held held = guard.hold()) {
      held.catalogue().get(disk).refuseSealed();
    }
    ActiveVolume target = volumes.activate(disk);
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
      catalogue.refuseCloned(id);
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
    VolumeSizes sizes;
    try (Held held = guard.hold()) {
      Optional<VolumeRecord> volume = held.catalogue().find(id);
      if (volume.isEmpty()) {
        return Optional.empty();
      }
      sizes = held.catalogue().sizes(volume.get());
    }
    return Optional.of(sizes.ofOne(files));
  }

  @Override
  public List<VolumeInfo> list() throws IOException {
    VolumeSizes sizes;
    try (Held held = guard.hold()) {
      sizes = held.catalogue().sizes();
    }
    return sizes.look(files);
  }

  @Override
  public Map<UUID, VolumeInfo> findMany(Collection<UUID> ids) throws IOException {
    VolumeSizes sizes;
    try (Held held = guard.hold()) {
      sizes = held.catalogue().sizes(ids);
    }
    return sizes.look(files).stream().collect(toMap(VolumeInfo::id, identity()));
  }

  @Override
  public Set<UUID> usable(Collection<UUID> ids) throws IOException {
    try (Held held = guard.hold()) {
      return held.catalogue().usable(ids);
    }
  }

  @Override
  public Volume open(UUID id) throws IOException {
    return volumes.openHandle(id);
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
    SumsTable sums = guard.with(catalogue -> catalogue.open().sums());
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

  /** Does now what is otherwise done every few seconds for the disks that are open. */
  public void lookAfterDisks() throws IOException {
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
