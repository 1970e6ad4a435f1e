package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Volumes as chains of copy-on-write layers in a directory of the local file system; the format is
 * described in {@code docs/formats/local-volume-store.md}.
 *
 * <p>One lock guards the catalogue. It is held for the constant-time part of each call only, never
 * while volumes' data is read, written or synced in bulk. Only one process can have a store open.
 */
public final class LocalVolumeStore implements VolumeStore {
  static final int SECTOR_BYTES = 512;

  /** 2^40 blocks of 4 KiB would fit the format; this is what fits in an int of map pages. */
  static final long MAX_SIZE_BYTES = 1L << 50;

  private static final Logger LOG = System.getLogger(LocalVolumeStore.class.getName());

  /** How long a caller waits for maintenance to let go of a volume. */
  private static final long LET_GO_NANOS = Duration.ofSeconds(10).toNanos();

  private static final int FLATTEN_ATTEMPTS = 4;

  private final StoreFiles files;
  private final SpaceGuard space;
  private final @Nullable FileChannel lockChannel;
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by lock.
  private final Catalogue catalogue;
  private final Map<UUID, ActiveVolume> active = new HashMap<>();
  private final Set<LocalVolume> handles = new HashSet<>();
  private boolean closed;

  /** Atomic writes that could not be finished when the store was opened, by volume. */
  private Map<UUID, IOException> unfinishedWrites = new HashMap<>();

  /** Volumes that were closed before the intent of an atomic write that failed was forgotten. */
  private final Set<UUID> leftIntents = new HashSet<>();

  private final Condition letGo = lock.newCondition();
  private final Condition workToDo = lock.newCondition();
  private boolean maintenanceDue = true;
  private volatile boolean closing;
  private final Maintenance maintenance;
  private final int packedDepth;
  private @Nullable Thread maintainer;

  /**
   * How a store behaves.
   *
   * @param reserveBytes growth is refused when less than this is left on the file system
   * @param packedDepth chains in use of so many layers are packed into fewer files
   * @param packBlocks what one such file holds at most, in blocks of 4 KiB
   */
  public record Settings(long reserveBytes, int packedDepth, int packBlocks) {
    private static final int PACKED_DEPTH = 8;

    /** Packs at the usual depth. */
    public Settings(long reserveBytes) {
      this(reserveBytes, PACKED_DEPTH);
    }

    /** Packs of the usual size. */
    public Settings(long reserveBytes, int packedDepth) {
      this(reserveBytes, packedDepth, Pack.MAX_BLOCKS);
    }

    /** Leaves 256 MiB to whoever shares the file system, our own metadata and the database. */
    public static Settings defaults() {
      return new Settings(256L << 20);
    }
  }

  /** What a store is opened for. */
  enum Access {
    MAINTAIN,
    READ
  }

  private LocalVolumeStore(
      StoreFiles files, Settings settings, Catalogue catalogue, @Nullable FileChannel lockChannel) {
    this.files = files;
    this.space = new SpaceGuard(files, settings.reserveBytes(), System::nanoTime);
    this.catalogue = catalogue;
    this.lockChannel = lockChannel;
    this.packedDepth = settings.packedDepth();
    Packing packing = new Packing(this, files, settings, () -> closing);
    this.maintenance = new Maintenance(this, files, space, packing, () -> closing);
  }

  /** Opens the store in a directory, which is created when absent. */
  public static LocalVolumeStore open(Path directory) throws IOException {
    return open(directory, Settings.defaults());
  }

  /**
   * Opens the store in a directory, which is created when absent.
   *
   * @throws VolumeException {@code UNAVAILABLE} when another process has it open
   */
  public static LocalVolumeStore open(Path directory, Settings settings) throws IOException {
    Files.createDirectories(directory);
    FileChannel channel = lock(directory);
    try {
      StoreFiles files = new LocalFiles(directory);
      LocalVolumeStore store = open(files, settings, channel);
      store.maintainer =
          Thread.ofPlatform().daemon().name("volume-maintenance").start(store::maintainInTurn);
      return store;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** For tests: without a lock, on any files, with maintenance only when called for. */
  static LocalVolumeStore open(StoreFiles files, Settings settings) throws IOException {
    return open(files, settings, null);
  }

  private static LocalVolumeStore open(
      StoreFiles files, Settings settings, @Nullable FileChannel lockChannel) throws IOException {
    Catalogue catalogue = Catalogue.load(files, Access.MAINTAIN);
    LocalVolumeStore store = new LocalVolumeStore(files, settings, catalogue, lockChannel);
    store.unfinishedWrites = WriteIntent.replayAll(files, store);
    return store;
  }

  /**
   * Opens a store that exists to read it, above all to {@link #verify} it: nothing in it changes,
   * not even what the next start would remove or finish. What would change it is refused.
   *
   * @throws VolumeException {@code UNAVAILABLE} when another process has it open
   */
  public static LocalVolumeStore openForReading(Path directory) throws IOException {
    FileChannel channel = lock(directory);
    try {
      StoreFiles files = new ReadOnlyFiles(new LocalFiles(directory));
      Catalogue catalogue = Catalogue.load(files, Access.READ);
      return new LocalVolumeStore(files, Settings.defaults(), catalogue, channel);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static FileChannel lock(Path directory) throws IOException {
    FileChannel channel =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      FileLock taken = channel.tryLock();
      if (taken != null) {
        return channel;
      }
    } catch (OverlappingFileLockException e) {
      // This very process has it; the message below says what to do about either.
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    channel.close();
    throw new VolumeException(
        Reason.UNAVAILABLE,
        "the volume store in %s is in use by a running server; stop it or choose another directory"
            .formatted(directory));
  }

  @Override
  public VolumeInfo create(UUID id, long sizeBytes) throws IOException {
    checkSize(sizeBytes);
    Held held = hold();
    try (held) {
      Optional<VolumeRecord> existing = catalogue.find(id);
      if (existing.isPresent()) {
        return sameOrRefuse(existing.get(), sizeBytes, Optional.empty());
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
    Held held = hold();
    try (held) {
      Optional<VolumeRecord> existing = catalogue.find(id);
      if (existing.isPresent()) {
        return sameOrRefuse(existing.get(), sizeBytes, Optional.of(parent));
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

  private VolumeInfo sameOrRefuse(VolumeRecord existing, long sizeBytes, Optional<UUID> parent)
      throws IOException {
    if (existing.sizeBytes() != sizeBytes
        || !existing.parent().equals(parent)
        || existing.disk().isPresent()) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS,
          "volume %s exists already, with other properties".formatted(existing.id()));
    }
    return catalogue.info(existing);
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
    Held held = hold();
    try (held) {
      Optional<VolumeRecord> existing = catalogue.find(id);
      if (existing.isPresent()) {
        return sameSnapshotOrRefuse(existing.get(), disk);
      }
      refuseSealed(catalogue.get(disk));
      source = activate(disk);
    }
    try {
      // The bulk of what is not durable yet, while writes go on; the rest below is little.
      source.flush();
      Held again = hold();
      try (again) {
        Optional<VolumeRecord> existing = catalogue.find(id);
        return existing.isPresent()
            ? sameSnapshotOrRefuse(existing.get(), disk)
            : snapshotNow(id, source);
      }
    } finally {
      deactivate(source);
    }
  }

  private VolumeInfo snapshotNow(UUID id, ActiveVolume source) throws IOException {
    source.settle();
    VolumeRecord before = catalogue.get(source.id());
    UUID frozen = before.layer();
    UUID fresh = UUID.randomUUID();
    catalogue.layers().create(fresh, Optional.of(frozen));
    VolumeRecord after = before.withLayer(fresh);
    try {
      Layer top = catalogue.layers().acquire(fresh);
      catalogue.layers().release(source.nearest());
      source.putOnTop(top, after);
    } catch (IOException e) {
      catalogue.collect(fresh);
      throw e;
    }
    catalogue.replaceInMemory(after);
    source.settle();
    catalogue.published(after.id());
    VolumeRecord snapshot =
        new VolumeRecord(
            id, true, before.sizeBytes(), frozen, before.parent(), Optional.of(before.id()));
    catalogue.add(snapshot);
    maintainSoon();
    return catalogue.info(snapshot);
  }

  private VolumeInfo sameSnapshotOrRefuse(VolumeRecord existing, UUID disk) throws IOException {
    if (!existing.disk().equals(Optional.of(disk))) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS,
          "volume %s exists already and is no snapshot of %s".formatted(existing.id(), disk));
    }
    return catalogue.info(existing);
  }

  @Override
  public VolumeInfo seal(UUID id) throws IOException {
    Held held = hold();
    try (held) {
      if (!catalogue.get(id).sealed()) {
        refuseInUse(id);
      }
      VolumeRecord volume = catalogue.get(id);
      if (!volume.sealed()) {
        volume = volume.asSealed();
        catalogue.replace(volume);
        maintainSoon();
      }
      return catalogue.info(volume);
    }
  }

  @Override
  public VolumeInfo rollback(UUID disk, UUID snapshot) throws IOException {
    Held held = hold();
    try (held) {
      refuseInUse(disk);
      VolumeRecord volume = catalogue.get(disk);
      VolumeRecord origin = catalogue.get(snapshot);
      if (!origin.disk().equals(Optional.of(disk))) {
        throw new VolumeException(
            Reason.NOT_A_SNAPSHOT_OF_DISK,
            "volume %s is not a snapshot of disk %s; create a disk from it instead"
                .formatted(snapshot, disk));
      }
      refuseSealed(volume);
      forgetIntent(disk);
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
      mergeSoon();
      return catalogue.info(after);
    }
  }

  @Override
  public VolumeInfo resize(UUID disk, long sizeBytes) throws IOException {
    checkSize(sizeBytes);
    Held held = hold();
    try (held) {
      VolumeRecord volume = catalogue.get(disk);
      refuseSealed(volume);
      if (sizeBytes < volume.sizeBytes()) {
        throw new VolumeException(
            Reason.INVALID_SIZE,
            "size %d is less than the present %d; disks only grow"
                .formatted(sizeBytes, volume.sizeBytes()));
      }
      ActiveVolume open = active.get(disk);
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
    Held held = hold();
    try (held) {
      refuseSealed(catalogue.get(disk));
      target = activate(disk);
    }
    try {
      Flattening flattening = new Flattening(target, space, progress);
      for (int attempt = 0; attempt < FLATTEN_ATTEMPTS; attempt++) {
        Layer top = target.nearest();
        flattening.copyUp();
        target.flush();
        Held again = hold();
        try (again) {
          // A snapshot in between froze the layer that we copied to: once more, to its successor.
          if (target.nearest() == top) {
            detach(target);
            return;
          }
        }
      }
      throw new VolumeException(
          Reason.IN_USE,
          "disk %s is snapshot faster than it can be flattened; try again".formatted(disk));
    } catch (IOException e) {
      keepCopied(target, e);
      throw e;
    } finally {
      deactivate(target);
    }
  }

  /** What was copied but is not in the map would have to be copied once more. */
  private static void keepCopied(ActiveVolume target, IOException cause) {
    try {
      target.flush();
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /** The disk's top layer has everything: it needs nothing below. */
  private void detach(ActiveVolume target) throws IOException {
    target.settle();
    target.writer().rewriteMap(Optional.empty());
    Layer below = catalogue.layers().putOnGround(target.nearest());
    target.rebase();
    if (below != null) {
      catalogue.deleteLater(catalogue.layers().release(below));
    }
    mergeSoon();
    VolumeRecord volume = catalogue.get(target.id());
    catalogue.replace(volume.withParent(Optional.empty()));
  }

  @Override
  public void delete(UUID id) throws IOException {
    List<String> garbage;
    Held held = hold();
    try (held) {
      refuseInUse(id);
      List<UUID> clones = catalogue.cloned(id);
      if (!clones.isEmpty()) {
        throw new VolumeException(
            Reason.HAS_DEPENDANTS,
            "volume %s has clones: %s; delete or flatten them first".formatted(id, clones));
      }
      forgetIntent(id);
      if (catalogue.removeDamaged(id)) {
        return;
      }
      Optional<VolumeRecord> volume = catalogue.find(id);
      if (volume.isEmpty()) {
        return;
      }
      garbage = catalogue.remove(volume.get());
      mergeSoon();
    }
    // Without the lock: giving back what is scattered over a device takes its time.
    for (String name : garbage) {
      maintenance.deleteFile(name);
    }
  }

  @Override
  public Optional<VolumeInfo> find(UUID id) throws IOException {
    Held held = hold();
    try (held) {
      Optional<VolumeRecord> volume = catalogue.find(id);
      return volume.isPresent() ? Optional.of(catalogue.info(volume.get())) : Optional.empty();
    }
  }

  @Override
  public List<VolumeInfo> list() throws IOException {
    Held held = hold();
    try (held) {
      List<VolumeInfo> infos = new ArrayList<>();
      for (VolumeRecord volume : catalogue.all()) {
        infos.add(catalogue.info(volume));
      }
      return infos;
    }
  }

  @Override
  public Volume open(UUID id) throws IOException {
    Held held = hold();
    try (held) {
      VolumeRecord volume = catalogue.get(id);
      if (!volume.sealed()) {
        ActiveVolume open = active.get(id);
        if (open != null && open.handleOpen()) {
          throw inUse(id);
        }
      }
      ActiveVolume opened = activate(id);
      ChainView below = opened.chain().below();
      if (below != null && below.sourceCount() >= packedDepth) {
        maintainSoon();
      }
      opened.setHandleOpen(true);
      LocalVolume handle = new LocalVolume(this, opened);
      handles.add(handle);
      return handle;
    }
  }

  @Override
  public Capacity capacity() throws IOException {
    List<UUID> layers;
    Held held = hold();
    try (held) {
      layers = catalogue.layers().all();
    }
    // Without the lock: there may be thousands of files to ask about.
    long allocated = 0;
    for (UUID layer : layers) {
      allocated += StoreLayout.allocatedBytes(files, layer);
    }
    return new Capacity(files.totalBytes(), availableBytes(), allocated);
  }

  @Override
  public long availableBytes() throws IOException {
    return Math.max(0, files.availableBytes() - space.reserveBytes());
  }

  @Override
  public void close() throws IOException {
    List<LocalVolume> open;
    lock.lock();
    try {
      if (closed) {
        return;
      }
      open = List.copyOf(handles);
      closing = true;
      workToDo.signalAll();
    } finally {
      lock.unlock();
    }
    awaitMaintainer();
    IOException failure = null;
    for (LocalVolume handle : open) {
      try {
        handle.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    lock.lock();
    try {
      closed = true;
      catalogue.layers().close();
      if (lockChannel != null) {
        lockChannel.close();
      }
    } finally {
      lock.unlock();
    }
    if (failure != null) {
      throw failure;
    }
  }

  void closeHandle(LocalVolume handle, ActiveVolume volume) throws IOException {
    lock.lock();
    try {
      handles.remove(handle);
    } finally {
      lock.unlock();
    }
    try {
      volume.flush();
    } finally {
      deactivateHandle(volume);
    }
  }

  private void deactivateHandle(ActiveVolume volume) throws IOException {
    lock.lock();
    try {
      if (!volume.sealed()) {
        volume.setHandleOpen(false);
      }
    } finally {
      lock.unlock();
    }
    deactivate(volume);
  }

  /** Under the lock. */
  private ActiveVolume activate(UUID id) throws IOException {
    ActiveVolume open = active.get(id);
    if (open == null) {
      refuseUnfinished(id);
      catalogue.publishIfNeeded(id);
      VolumeRecord volume = catalogue.get(id);
      Layer layer = catalogue.layers().acquire(volume.layer());
      open = new ActiveVolume(volume, layer, files, space, leftIntents.remove(id));
      active.put(id, open);
    }
    open.addUser();
    return open;
  }

  /** Finished at a later start, the write would undo what is written in the meantime. */
  private void refuseUnfinished(UUID id) throws VolumeException {
    IOException cause = unfinishedWrites.get(id);
    if (cause != null) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "volume %s has a write that could not be finished: %s; start the server again when the storage works"
              .formatted(id, cause.getMessage()),
          cause);
    }
  }

  /** Before the volume gets another content, which an intent would undo. */
  private void forgetIntent(UUID id) throws IOException {
    if (leftIntents.contains(id) || unfinishedWrites.containsKey(id)) {
      WriteIntent.forget(files, id);
      leftIntents.remove(id);
      unfinishedWrites.remove(id);
    }
  }

  private void deactivate(ActiveVolume volume) throws IOException {
    lock.lock();
    try {
      if (volume.removeUser() == 0) {
        active.remove(volume.id());
        if (volume.intentLeft()) {
          leftIntents.add(volume.id());
        }
        // Not a reason for maintenance by itself: that uses volumes too, and would never end.
        letGo.signalAll();
        List<String> garbage = catalogue.layers().release(volume.nearest());
        if (!garbage.isEmpty()) {
          catalogue.deleteLater(garbage);
          maintainSoon();
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private static void refuseSealed(VolumeRecord volume) throws VolumeException {
    if (volume.sealed()) {
      throw new VolumeException(
          Reason.SEALED, "volume " + volume.id() + " is sealed; clone it to change it");
    }
  }

  private void refuseInUse(UUID id) throws VolumeException {
    long left = LET_GO_NANOS;
    ActiveVolume open = active.get(id);
    while (open != null && open.onlyMaintained() && left > 0) {
      open.want();
      try {
        left = letGo.awaitNanos(left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw inUse(id);
      }
      open = active.get(id);
    }
    if (open != null) {
      throw inUse(id);
    }
  }

  private static VolumeException inUse(UUID id) {
    return new VolumeException(Reason.IN_USE, "volume " + id + " is in use; close it first");
  }

  // For maintenance.

  /** A piece of work under the lock. */
  interface CatalogueWork<T extends @Nullable Object> {
    T run(Catalogue catalogue) throws IOException;
  }

  <T extends @Nullable Object> T withCatalogue(CatalogueWork<T> work) throws IOException {
    lock.lock();
    try {
      return work.run(catalogue);
    } finally {
      lock.unlock();
    }
  }

  ActiveVolume activateForMaintenance(UUID disk) throws IOException {
    ActiveVolume volume = activate(disk);
    try {
      volume.settle();
    } catch (IOException e) {
      deactivate(volume);
      throw e;
    }
    volume.setMaintained(true);
    return volume;
  }

  void deactivateForMaintenance(ActiveVolume volume) throws IOException {
    volume.setMaintained(false);
    deactivate(volume);
  }

  /** Intents that cannot be read, by volume. */
  Map<UUID, IOException> damagedIntents() throws IOException {
    try {
      return WriteIntent.damaged(files);
    } catch (NoSuchFileException e) {
      // No directory for them either: opened for reading, and never for more.
      return Map.of();
    }
  }

  /** Under the lock: open volumes stop reading from the layer. */
  void rebaseAll(Layer layer) {
    for (ActiveVolume volume : active.values()) {
      if (volume.standsOn(layer)) {
        volume.rebase();
      }
    }
  }

  /** Under the lock: what open volumes read from, without the layers that they write to. */
  Set<ChainView> frozenViews() {
    Set<ChainView> views = new LinkedHashSet<>();
    for (ActiveVolume volume : active.values()) {
      ChainView below = volume.chain().below();
      if (below != null) {
        views.add(below);
      }
    }
    return views;
  }

  /** Under the lock: deletes the packs of these layers, durably, once nobody reads from them. */
  void withdraw(List<UUID> packed) throws IOException {
    boolean deleted = false;
    for (UUID id : packed) {
      if (!catalogue.layers().packs().has(id)) {
        continue;
      }
      deleted = true;
      Layer layer = catalogue.layers().opened(id);
      Pack old = layer == null ? null : layer.pack();
      catalogue.layers().removePack(id);
      if (layer != null) {
        rebaseAll(layer);
        if (old != null) {
          old.close();
        }
      }
    }
    if (deleted) {
      files.syncDirectory(StoreLayout.LAYERS);
    }
  }

  /**
   * Does now what is otherwise done in the background: merges what deleted snapshots left, packs
   * deep chains, computes checksums. Waits for such work that is under way.
   */
  public void maintain() throws IOException {
    maintenance.runAll();
  }

  private void maintainSoon() {
    maintenanceDue = true;
    workToDo.signalAll();
  }

  /** The same, and what was tried before is tried again: something is gone. */
  private void mergeSoon() {
    maintenance.tryAgain();
    maintainSoon();
  }

  /** For tests: one turn of what the background does; whether there was a reason for it. */
  boolean maintainIfDue() throws IOException {
    lock.lock();
    try {
      if (!maintenanceDue) {
        return false;
      }
      maintenanceDue = false;
    } finally {
      lock.unlock();
    }
    maintenance.runAll();
    return true;
  }

  private void maintainInTurn() {
    while (awaitWork()) {
      try {
        maintenance.runAll();
      } catch (IOException | RuntimeException e) {
        LOG.log(Level.WARNING, "maintenance of the volume store stopped; next try later", e);
      }
    }
  }

  private boolean awaitWork() {
    lock.lock();
    try {
      while (!maintenanceDue && !closing) {
        workToDo.awaitUninterruptibly();
      }
      maintenanceDue = false;
      return !closing;
    } finally {
      lock.unlock();
    }
  }

  private void awaitMaintainer() {
    Thread thread = maintainer;
    if (thread != null) {
      try {
        thread.join(Duration.ofSeconds(30));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Reads everything and compares it with its checksums, where there are some. Takes as long as
   * reading the whole store does; volumes stay usable.
   */
  public VerifyReport verify(TransferProgress progress) throws IOException {
    return new Scrub(this, files, progress).run();
  }

  private Held hold() throws VolumeException {
    lock.lock();
    if (closed) {
      lock.unlock();
      throw new VolumeException(Reason.UNAVAILABLE, "the volume store is closed");
    }
    return lock::unlock;
  }

  /** The lock, for try-with-resources. */
  private interface Held extends AutoCloseable {
    @Override
    void close();
  }
}
