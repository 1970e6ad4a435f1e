package io.malleable.volume.rbd;

import io.malleable.volume.Capacity;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Volumes as images of one RBD pool: image {@code <uuid>} is the volume, with the snapshot {@code
 * sealed} once it is sealed. A snapshot of a disk becomes an image of its own at once, a version 2
 * clone of the disk at that moment, so that every volume has a name of its own and can go on its
 * own; see {@code docs/adr} for the reasons.
 *
 * <p>The metadata key {@code m2.volume} is written last when a volume is made: an image without it
 * is the remainder of a call that a crash cut off and does not count. Deleting moves the image to
 * the pool's trash, which takes its name away at once; the rest is purged as soon as no clone reads
 * from it.
 *
 * <p>Methods that change volumes are serialised; I/O on open volumes is not.
 */
public final class RbdVolumeStore implements VolumeStore {
  private static final System.Logger LOG = System.getLogger(RbdVolumeStore.class.getName());

  private static final String RECORD = "m2.volume";
  private static final String OWNER = "m2.owner";
  private static final long MAX_ASKED_BYTES = 256L << 20;
  private static final String ROLLBACK_SUFFIX = ".rollback";

  private final RbdConfig config;
  private final RbdCluster cluster;
  private final Map<UUID, RbdVolume> openWritable = new ConcurrentHashMap<>();
  private final Map<RbdVolume, UUID> openSealed = new ConcurrentHashMap<>();

  private RbdVolumeStore(RbdConfig config, RbdCluster cluster) {
    this.config = config;
    this.cluster = cluster;
  }

  /**
   * Connects and finishes what a crash left behind.
   *
   * @throws VolumeException {@code UNAVAILABLE} naming the setting that is wrong or the part of the
   *     cluster that does not answer
   */
  public static RbdVolumeStore open(RbdConfig config) throws IOException {
    RbdVolumeStore store = new RbdVolumeStore(config, new RbdCluster(config));
    boolean ready = false;
    try {
      store.recover();
      ready = true;
    } finally {
      if (!ready) {
        store.cluster.close();
      }
    }
    return store;
  }

  private void recover() throws IOException {
    List<String> names;
    try {
      names = cluster.names();
    } catch (CephException e) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "store.rbd.pool: the images of pool "
              + config.pool()
              + " cannot be listed by client."
              + config.user()
              + "; it needs 'profile rbd' on the pool, and the pool 'rbd pool init'",
          e);
    }
    for (String name : names) {
      if (name.endsWith(ROLLBACK_SUFFIX)) {
        recoverRollback(name, names);
      }
    }
    purgeTrash();
  }

  /**
   * The prepared image replaces the disk if the disk's own image had been taken away already, and
   * is dropped otherwise.
   */
  private void recoverRollback(String name, List<String> names) throws IOException {
    String disk = name.substring(0, name.length() - ROLLBACK_SUFFIX.length());
    if (names.contains(disk)) {
      cluster.discard(name);
    } else {
      cluster.rename(name, disk);
    }
    LOG.log(Level.INFO, "finished the rollback of volume {0} that was cut off", disk);
  }

  /**
   * What {@code m2.volume} says.
   *
   * @param parent what {@link VolumeInfo#parent()} gives
   * @param snapshotOf the disk, for a snapshot
   */
  private record Lineage(Optional<UUID> parent, Optional<UUID> snapshotOf) {
    private static final String VERSION = "1";

    static Lineage root() {
      return new Lineage(Optional.empty(), Optional.empty());
    }

    static Lineage cloneOf(UUID parent) {
      return new Lineage(Optional.of(parent), Optional.empty());
    }

    String format() {
      return VERSION + " " + format(parent) + " " + format(snapshotOf);
    }

    static Lineage parse(UUID id, String text) throws VolumeException {
      String[] fields = text.split(" ", -1);
      if (!fields[0].equals(VERSION)) {
        throw new VolumeException(
            Reason.FORMAT_TOO_NEW,
            "image "
                + id
                + " has a record of version "
                + fields[0]
                + "; this program knows "
                + VERSION);
      }
      try {
        return new Lineage(parse(fields[1]), parse(fields[2]));
      } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
        throw new VolumeException(
            Reason.CORRUPT, "image " + id + " has the metadata " + RECORD + "=\"" + text + "\"", e);
      }
    }

    private static String format(Optional<UUID> id) {
      return id.map(UUID::toString).orElse("-");
    }

    private static Optional<UUID> parse(String field) {
      return field.equals("-") ? Optional.empty() : Optional.of(UUID.fromString(field));
    }
  }

  @Override
  public synchronized VolumeInfo create(UUID id, long sizeBytes) throws IOException {
    requireSize(sizeBytes);
    Optional<Facts> existing = existing(id);
    if (existing.isPresent()) {
      return sameOrThrow(id, existing.get(), Lineage.root(), sizeBytes);
    }
    translate(id, () -> cluster.create(id.toString(), sizeBytes));
    publish(id, Lineage.root());
    return require(id);
  }

  @Override
  public synchronized VolumeInfo clone(UUID id, UUID parent, long sizeBytes) throws IOException {
    requireSize(sizeBytes);
    Facts from = requireFacts(parent);
    Optional<Facts> existing = existing(id);
    if (existing.isPresent()) {
      return sameOrThrow(id, existing.get(), Lineage.cloneOf(parent), sizeBytes);
    }
    if (!from.sealed()) {
      throw new VolumeException(
          Reason.NOT_SEALED, "volume " + parent + " is not sealed, so it cannot be cloned");
    }
    if (sizeBytes < from.sizeBytes()) {
      throw new VolumeException(
          Reason.INVALID_SIZE,
          "a clone of "
              + parent
              + " needs at least its "
              + from.sizeBytes()
              + " bytes, not "
              + sizeBytes);
    }
    translate(parent, () -> cluster.clone(parent.toString(), RbdCluster.SEALED, id.toString()));
    if (sizeBytes > from.sizeBytes()) {
      try (RbdImage image = cluster.openWritable(id.toString())) {
        image.resize(sizeBytes);
      }
    }
    publish(id, Lineage.cloneOf(parent));
    return require(id);
  }

  @Override
  public synchronized VolumeInfo snapshot(UUID id, UUID disk) throws IOException {
    Facts source = requireFacts(disk);
    Optional<Facts> existing = existing(id);
    if (existing.isPresent()) {
      if (existing.get().lineage().snapshotOf().equals(Optional.of(disk))) {
        return require(id);
      }
      throw new VolumeException(
          Reason.ALREADY_EXISTS, "volume " + id + " exists and is not a snapshot of " + disk);
    }
    if (source.sealed()) {
      throw new VolumeException(
          Reason.SEALED, "volume " + disk + " is sealed; clone it instead of taking a snapshot");
    }
    String moment = id.toString();
    withImage(
        disk,
        image -> {
          if (!image.hasSnapshot(moment)) {
            image.snapshot(moment);
          }
        });
    translate(disk, () -> cluster.clone(disk.toString(), moment, id.toString()));
    try (RbdImage image = cluster.openWritable(id.toString())) {
      image.snapshot(RbdCluster.SEALED);
    }
    publish(id, new Lineage(source.lineage().parent(), Optional.of(disk)));
    withImage(disk, image -> image.removeSnapshot(moment));
    return require(id);
  }

  @Override
  public synchronized VolumeInfo seal(UUID id) throws IOException {
    if (requireFacts(id).sealed()) {
      return require(id);
    }
    requireClosed(id);
    try (RbdImage image = cluster.openWritable(id.toString())) {
      image.snapshot(RbdCluster.SEALED);
    }
    return require(id);
  }

  @Override
  public synchronized VolumeInfo rollback(UUID disk, UUID snapshot) throws IOException {
    requireLineage(disk);
    Lineage moment = requireLineage(snapshot);
    requireClosed(disk);
    if (!moment.snapshotOf().equals(Optional.of(disk))) {
      throw new VolumeException(
          Reason.NOT_A_SNAPSHOT_OF_DISK,
          "volume " + snapshot + " is not a snapshot of disk " + disk);
    }
    String prepared = disk + ROLLBACK_SUFFIX;
    if (cluster.names().contains(prepared)) {
      cluster.discard(prepared);
    }
    translate(snapshot, () -> cluster.clone(snapshot.toString(), RbdCluster.SEALED, prepared));
    try (RbdImage image = cluster.openWritable(prepared)) {
      // The parent of that moment as well: a flatten in between is undone like all else.
      image.metadata(RECORD, new Lineage(moment.parent(), Optional.empty()).format());
    }
    translate(disk, () -> cluster.discard(disk.toString()));
    translate(disk, () -> cluster.rename(prepared, disk.toString()));
    purgeTrash();
    return require(disk);
  }

  @Override
  public synchronized VolumeInfo resize(UUID disk, long sizeBytes) throws IOException {
    requireSize(sizeBytes);
    Facts info = requireFacts(disk);
    if (info.sealed()) {
      throw new VolumeException(
          Reason.SEALED, "volume " + disk + " is sealed and cannot be resized");
    }
    if (sizeBytes < info.sizeBytes()) {
      throw new VolumeException(
          Reason.INVALID_SIZE,
          "volume "
              + disk
              + " has "
              + info.sizeBytes()
              + " bytes and cannot shrink to "
              + sizeBytes);
    }
    RbdVolume open = openWritable.get(disk);
    if (open != null) {
      open.resize(sizeBytes);
    } else {
      withImage(disk, image -> image.resize(sizeBytes));
    }
    return require(disk);
  }

  @Override
  public synchronized void flatten(UUID disk) throws IOException {
    if (requireFacts(disk).sealed()) {
      throw new VolumeException(
          Reason.SEALED, "volume " + disk + " is sealed and cannot be flattened");
    }
    withImage(
        disk,
        image -> {
          if (requireLineage(disk).parent().isPresent()) {
            image.flatten();
          }
          image.metadata(RECORD, Lineage.root().format());
        });
    purgeTrash();
  }

  @Override
  public synchronized void delete(UUID id) throws IOException {
    Optional<Facts> info = existing(id);
    if (info.isEmpty()) {
      return;
    }
    requireClosed(id);
    if (info.get().sealed()) {
      requireNoDependants(id);
    }
    translate(id, () -> cluster.discard(id.toString()));
    purgeTrash();
  }

  /**
   * The lineage decides, not RBD's own parent links: after a rollback a disk reads from its
   * snapshot's image but still descends from the image that it was cloned from.
   */
  private void requireNoDependants(UUID id) throws IOException {
    List<String> dependants = new ArrayList<>();
    for (String name : cluster.names()) {
      Optional<UUID> other = parseId(name);
      if (other.isPresent()
          && facts(other.get())
              .map(Facts::lineage)
              .flatMap(Lineage::parent)
              .equals(Optional.of(id))) {
        dependants.add(name);
      }
    }
    if (!dependants.isEmpty()) {
      throw new VolumeException(
          Reason.HAS_DEPENDANTS,
          "volume " + id + " has the clones " + String.join(", ", dependants));
    }
  }

  /**
   * Removes what nothing reads from any more; an image that still has clones waits for a later
   * call.
   */
  private void purgeTrash() throws IOException {
    boolean progress = true;
    while (progress) {
      progress = false;
      for (String id : cluster.trash()) {
        progress |= purge(id);
      }
    }
  }

  private boolean purge(String trashId) throws IOException {
    try (RbdImage image = cluster.openTrashed(trashId)) {
      if (image.metadata(RECORD).isEmpty()) {
        return false; // somebody else's image: the pool's trash is not ours alone
      }
      for (String snapshot : image.snapshots()) {
        image.removeSnapshot(snapshot);
      }
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        return false;
      }
      throw e;
    }
    try {
      cluster.removeTrashed(trashId);
      return true;
    } catch (CephException e) {
      if (e.errno() == CephException.ENOTEMPTY
          || e.errno() == CephException.EBUSY
          || e.errno() == CephException.ENOENT) {
        return false;
      }
      throw e;
    }
  }

  /** What an image says of itself, without what it occupies. */
  private record Facts(long sizeBytes, boolean sealed, Lineage lineage) {}

  private interface ImageQuestion<T> {
    T ask(RbdImage image, Lineage lineage) throws IOException;
  }

  /** Empty when there is no such volume. */
  private <T> Optional<T> ask(UUID id, ImageQuestion<T> question) throws IOException {
    try (RbdImage image = cluster.open(id.toString(), "")) {
      Optional<String> text = image.metadata(RECORD);
      return text.isEmpty()
          ? Optional.empty()
          : Optional.of(question.ask(image, Lineage.parse(id, text.get())));
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        return Optional.empty();
      }
      throw translated(id, e);
    }
  }

  private Optional<Facts> facts(UUID id) throws IOException {
    return ask(
        id,
        (image, lineage) ->
            new Facts(image.sizeBytes(), image.hasSnapshot(RbdCluster.SEALED), lineage));
  }

  private Facts requireFacts(UUID id) throws IOException {
    return facts(id).orElseThrow(() -> notFound(id));
  }

  @Override
  public Optional<VolumeInfo> find(UUID id) throws IOException {
    return ask(
        id,
        (image, lineage) -> {
          long sizeBytes = image.sizeBytes();
          long allocated = allocatedBytes(image, sizeBytes);
          boolean sealed = image.hasSnapshot(RbdCluster.SEALED);
          return new VolumeInfo(id, sealed, sizeBytes, allocated, lineage.parent());
        });
  }

  /**
   * Exact as long as there are few objects, such as those that a discard left behind empty; beyond
   * that whole objects, as asking each would take the longer the larger the volume is.
   */
  private static long allocatedBytes(RbdImage image, long sizeBytes) throws IOException {
    List<RbdImage.Run> objects = image.allocated(0, sizeBytes, false, RbdImage.Detail.OBJECTS);
    long whole = sum(objects);
    if (whole > MAX_ASKED_BYTES) {
      return whole;
    }
    long written = 0;
    for (RbdImage.Run run : objects) {
      written +=
          sum(
              image.allocated(
                  run.offsetBytes(), run.lengthBytes(), false, RbdImage.Detail.WRITTEN));
    }
    return written;
  }

  private static long sum(List<RbdImage.Run> runs) {
    return runs.stream().mapToLong(RbdImage.Run::lengthBytes).sum();
  }

  @Override
  public List<VolumeInfo> list() throws IOException {
    List<VolumeInfo> volumes = new ArrayList<>();
    for (String name : cluster.names()) {
      Optional<UUID> id = parseId(name);
      if (id.isPresent()) {
        find(id.get()).ifPresent(volumes::add);
      }
    }
    return volumes;
  }

  @Override
  public synchronized Volume open(UUID id) throws IOException {
    if (requireFacts(id).sealed()) {
      RbdVolume volume =
          new RbdVolume(
              id, true, cluster.open(id.toString(), RbdCluster.SEALED), openSealed::remove);
      openSealed.put(volume, id);
      return volume;
    }
    requireClosed(id);
    RbdImage image = cluster.openWritable(id.toString());
    boolean opened = false;
    try {
      acquire(id, image);
      RbdVolume volume = new RbdVolume(id, false, image, closed -> openWritable.remove(id, closed));
      openWritable.put(id, volume);
      opened = true;
      return volume;
    } finally {
      if (!opened) {
        image.close();
      }
    }
  }

  /**
   * Two writers would destroy a file system: the lock is taken before the first request and never
   * handed over.
   */
  private void acquire(UUID id, RbdImage image) throws IOException {
    Optional<String> holder = image.lockOwner();
    if (holder.isPresent()) {
      String instance = image.metadata(OWNER).orElse("unknown");
      if (!instance.equals(config.instance().toString())) {
        throw new VolumeException(
            Reason.IN_USE,
            "volume "
                + id
                + " is open in another server (instance "
                + instance
                + ", "
                + holder.get()
                + ")");
      }
      LOG.log(
          Level.INFO,
          "breaking the lock of volume {0} that a dead process of this server held",
          id);
      image.breakLock(holder.get());
    }
    try {
      image.lock();
    } catch (CephException e) {
      if (e.errno() == CephException.EROFS || e.errno() == CephException.EBUSY) {
        throw new VolumeException(Reason.IN_USE, "volume " + id + " is open in another server", e);
      }
      throw e;
    }
    image.metadata(OWNER, config.instance().toString());
  }

  @Override
  public Capacity capacity() throws IOException {
    return cluster.capacity();
  }

  @Override
  public synchronized void close() throws IOException {
    for (RbdVolume volume : List.copyOf(openWritable.values())) {
      volume.close();
    }
    for (RbdVolume volume : List.copyOf(openSealed.keySet())) {
      volume.close();
    }
    cluster.close();
  }

  private void publish(UUID id, Lineage lineage) throws IOException {
    try (RbdImage image = cluster.openWritable(id.toString())) {
      image.metadata(RECORD, lineage.format());
    }
  }

  /** The volume if it is whole; the remainder of an unfinished call is cleared away. */
  private Optional<Facts> existing(UUID id) throws IOException {
    Optional<Facts> found = facts(id);
    if (found.isEmpty() && cluster.names().contains(id.toString())) {
      publish(id, Lineage.root()); // marks it as ours, so that the purge may take it
      cluster.discard(id.toString());
      purgeTrash();
    }
    return found;
  }

  private VolumeInfo require(UUID id) throws IOException {
    return find(id).orElseThrow(() -> notFound(id));
  }

  private VolumeException notFound(UUID id) {
    return new VolumeException(
        Reason.NOT_FOUND, "there is no volume " + id + " in pool " + config.pool());
  }

  private Lineage requireLineage(UUID id) throws IOException {
    return requireFacts(id).lineage();
  }

  private void requireClosed(UUID id) throws VolumeException {
    if (openWritable.containsKey(id) || openSealed.containsValue(id)) {
      throw new VolumeException(Reason.IN_USE, "volume " + id + " is open");
    }
  }

  private static void requireSize(long sizeBytes) throws VolumeException {
    if (sizeBytes <= 0 || sizeBytes % 512 != 0) {
      throw new VolumeException(
          Reason.INVALID_SIZE,
          "size is " + sizeBytes + " bytes; it must be a positive multiple of 512");
    }
  }

  /** A repeated call finds its own result; anything else under that id is somebody else's. */
  private VolumeInfo sameOrThrow(UUID id, Facts existing, Lineage lineage, long sizeBytes)
      throws IOException {
    if (existing.lineage().equals(lineage) && existing.sizeBytes() == sizeBytes) {
      return require(id);
    }
    throw new VolumeException(
        Reason.ALREADY_EXISTS, "volume " + id + " exists with another size or origin");
  }

  private static Optional<UUID> parseId(String name) {
    try {
      return Optional.of(UUID.fromString(name));
    } catch (IllegalArgumentException e) {
      return Optional.empty(); // not a volume of ours
    }
  }

  private interface ImageCall {
    void invoke(RbdImage image) throws IOException;
  }

  /**
   * Runs the call on the open handle if there is one: only the lock's holder may take a snapshot
   * without being asked to.
   */
  private void withImage(UUID disk, ImageCall call) throws IOException {
    RbdVolume open = openWritable.get(disk);
    if (open != null) {
      call.invoke(open.image());
      return;
    }
    try (RbdImage image = cluster.openWritable(disk.toString())) {
      call.invoke(image);
    }
  }

  private interface ClusterCall {
    void invoke() throws IOException;
  }

  private static void translate(UUID id, ClusterCall call) throws IOException {
    try {
      call.invoke();
    } catch (CephException e) {
      throw translated(id, e);
    }
  }

  static VolumeException translated(UUID id, CephException e) {
    Reason reason =
        switch (e.errno()) {
          case CephException.ENOENT -> Reason.NOT_FOUND;
          case CephException.EEXIST -> Reason.ALREADY_EXISTS;
          case CephException.EBUSY -> Reason.IN_USE;
          case CephException.ENOTEMPTY -> Reason.HAS_DEPENDANTS;
          case CephException.ENOSPC, CephException.EDQUOT -> Reason.OUT_OF_SPACE;
          default -> Reason.UNAVAILABLE;
        };
    return new VolumeException(reason, "volume " + id + ": " + e.getMessage(), e);
  }
}
