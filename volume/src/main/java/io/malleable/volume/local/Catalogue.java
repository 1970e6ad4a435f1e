package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The volume records and the layers they stand on. Guarded by the lock of {@link GuardedCatalogue}.
 */
final class Catalogue {
  private final StoreFiles files;
  private final OpenLayers open;
  private final LayerTable layers;
  private final VolumeTable volumes = new VolumeTable();

  /** Volumes that are about to be published. */
  private final Set<UUID> reserved = new HashSet<>();

  /**
   * Volumes whose record on disk may be another one than that in memory, each with the layers that
   * it may name.
   */
  private final Map<UUID, Set<UUID>> unpublished = new HashMap<>();

  /** All layers of those; none is named for two volumes. */
  private final Set<UUID> unpublishedLayers = new HashSet<>();

  /** Volumes that cannot be used, because of their records or because of files beside them. */
  private final Map<UUID, VolumeException> damaged = new HashMap<>();

  /** Disks that may lack writes which were acknowledged before the host went down. */
  private final Set<UUID> lostWrites = new HashSet<>();

  private Catalogue(StoreFiles files, MapMemory memory) {
    this.files = files;
    this.open = new OpenLayers(files, memory);
    this.layers = new LayerTable(files, open);
  }

  /** What is found when a store is opened; see {@link StoreScan}. */
  static Catalogue load(StoreFiles files, MapMemory memory, StoreScan.Access access)
      throws IOException {
    Catalogue catalogue = new Catalogue(files, memory);
    StoreScan scan =
        new StoreScan(
            files, catalogue.layers, catalogue.open, catalogue.volumes, catalogue.damaged);
    catalogue.deleteLater(scan.run(access));
    scan.adopted().forEach(catalogue::unpublished);
    catalogue.lostWrites.addAll(scan.lostWrites());
    return catalogue;
  }

  Set<UUID> lostWrites() {
    return Set.copyOf(lostWrites);
  }

  void forgetLostWrites(UUID disk) throws IOException {
    if (lostWrites.contains(disk)) {
      files.delete(StoreLayout.lostWrites(disk));
      files.syncDirectory(StoreLayout.LOST_WRITES);
      lostWrites.remove(disk);
    }
  }

  LayerTable layers() {
    return layers;
  }

  OpenLayers open() {
    return open;
  }

  Optional<VolumeRecord> find(UUID id) throws VolumeException {
    VolumeException damage = damaged.get(id);
    if (damage != null) {
      throw new VolumeException(
          damage.reason(),
          "volume %s cannot be used: %s".formatted(id, damage.getMessage()),
          damage);
    }
    return Optional.ofNullable(volumes.get(id));
  }

  VolumeRecord get(UUID id) throws VolumeException {
    return find(id)
        .orElseThrow(() -> new VolumeException(Reason.NOT_FOUND, "there is no volume " + id));
  }

  List<VolumeRecord> all() {
    return volumes.all();
  }

  /** The disk that writes to the layer, if one does. */
  Optional<UUID> diskOn(UUID layer) {
    return volumes.writingTo(layer);
  }

  Map<UUID, VolumeException> damagedVolumes() {
    return Map.copyOf(damaged);
  }

  /**
   * Removes a volume that cannot be used, if it is one. Which layers it stood on is not known: they
   * go after the next start.
   */
  boolean removeDamaged(UUID id) throws IOException {
    if (!damaged.containsKey(id)) {
      return false;
    }
    files.delete(StoreLayout.volume(id));
    files.syncDirectory(StoreLayout.VOLUMES);
    damaged.remove(id);
    return true;
  }

  /** Volumes whose content depends on the layer. */
  List<UUID> volumesOver(UUID layer) {
    List<UUID> found = new ArrayList<>();
    layers.andAllAbove(layer).forEach(above -> found.addAll(volumes.on(above)));
    return found;
  }

  /**
   * Whether no record on disk can make the layer one that is written to after a restart. What is
   * derived from a frozen layer, or changes it, needs more than that it is frozen in memory.
   */
  boolean frozenOnDisk(UUID layer) {
    return !unpublishedLayers.contains(layer);
  }

  /** Whether a disk writes to the layer, or would after a restart. */
  boolean mayBeWritten(UUID layer) {
    return diskOn(layer).isPresent() || !frozenOnDisk(layer);
  }

  void refuseCloned(UUID id) throws VolumeException {
    List<UUID> clones = volumes.clonedFrom(id);
    if (!clones.isEmpty()) {
      throw new VolumeException(
          Reason.HAS_DEPENDANTS,
          "volume %s has clones: %s; delete or flatten them first".formatted(id, clones));
    }
  }

  /**
   * Those of these volumes that are there, and are not known to lack something. Which files fail
   * when they are read is found out by reading them.
   */
  Set<UUID> usable(Collection<UUID> ids) {
    Set<UUID> usable = new HashSet<>();
    Set<LayerNode> whole = new HashSet<>();
    for (UUID id : ids) {
      VolumeRecord volume = damaged.containsKey(id) ? null : volumes.get(id);
      if (volume != null && layers.isWhole(volume.layer(), whole)) {
        usable.add(id);
      }
    }
    return usable;
  }

  /** A new, empty disk, or that which was made before by the same call. */
  VolumeSizes create(UUID id, long sizeBytes) throws IOException {
    Optional<VolumeRecord> existing = find(id);
    return existing.isPresent()
        ? sameOrRefuse(existing.get(), sizeBytes, Optional.empty())
        : addDisk(id, sizeBytes, Optional.empty());
  }

  /** The same, with what a sealed volume has. */
  VolumeSizes clone(UUID id, UUID parent, long sizeBytes) throws IOException {
    Optional<VolumeRecord> existing = find(id);
    if (existing.isPresent()) {
      return sameOrRefuse(existing.get(), sizeBytes, Optional.of(parent));
    }
    VolumeRecord origin = get(parent);
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
    return addDisk(id, sizeBytes, Optional.of(origin));
  }

  private VolumeSizes sameOrRefuse(VolumeRecord existing, long sizeBytes, Optional<UUID> parent)
      throws VolumeException {
    if (existing.sizeBytes() != sizeBytes
        || !existing.parent().equals(parent)
        || existing.disk().isPresent()) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS,
          "volume %s exists already, with other properties".formatted(existing.id()));
    }
    return sizes(existing);
  }

  private VolumeSizes addDisk(UUID id, long sizeBytes, Optional<VolumeRecord> origin)
      throws IOException {
    VolumeRecord volume =
        new VolumeRecord(
            id,
            false,
            sizeBytes,
            UUID.randomUUID(),
            origin.map(VolumeRecord::id),
            Optional.empty());
    addOnNewLayer(volume, origin.map(VolumeRecord::layer));
    return sizes(volume);
  }

  /** The disk's record as it is to be with the snapshot's content, on a layer yet to be made. */
  VolumeRecord rolledBack(UUID disk, UUID snapshot) throws VolumeException {
    VolumeRecord volume = get(disk);
    VolumeRecord origin = get(snapshot);
    if (!origin.disk().equals(Optional.of(disk))) {
      throw new VolumeException(
          Reason.NOT_A_SNAPSHOT_OF_DISK,
          "volume %s is not a snapshot of disk %s; create a disk from it instead"
              .formatted(snapshot, disk));
    }
    volume.refuseSealed();
    return new VolumeRecord(
        disk, false, origin.sizeBytes(), UUID.randomUUID(), origin.parent(), volume.disk());
  }

  /** The disk's record as it is to be with the new size. */
  VolumeRecord resized(UUID disk, long sizeBytes) throws VolumeException {
    VolumeRecord volume = get(disk);
    volume.refuseSealed();
    if (sizeBytes < volume.sizeBytes()) {
      throw new VolumeException(
          Reason.INVALID_SIZE,
          "size %d is less than the present %d; disks only grow"
              .formatted(sizeBytes, volume.sizeBytes()));
    }
    return volume.withSize(sizeBytes);
  }

  /** Publishes a new volume on a new, empty layer. */
  private void addOnNewLayer(VolumeRecord volume, Optional<UUID> below) throws IOException {
    layers.create(volume.layer(), below);
    try {
      add(volume);
    } catch (IOException e) {
      collect(volume.layer());
      throw e;
    }
  }

  /** Publishes a new volume on a layer that exists. */
  private void add(VolumeRecord volume) throws IOException {
    reserve(volume);
    publishReserved(volume);
  }

  /** What the layer holds is the volume's from now on; nobody else can make one of this id. */
  void reserve(VolumeRecord volume) throws VolumeException {
    if (volumes.get(volume.id()) != null || reserved.contains(volume.id())) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS, "volume %s is made by another call".formatted(volume.id()));
    }
    layers.addVolume(volume.layer());
    reserved.add(volume.id());
  }

  /** It is not to be after all. */
  void unreserve(VolumeRecord volume) {
    reserved.remove(volume.id());
    deleteLater(layers.removeVolume(volume.layer()));
  }

  void publishReserved(VolumeRecord volume) throws IOException {
    try {
      volume.publish(files);
    } catch (IOException e) {
      withdraw(volume, e);
      throw e;
    } finally {
      reserved.remove(volume.id());
    }
    volumes.put(volume);
  }

  /**
   * The record may be on disk or not; it must not come back after the next start. As long as that
   * is not certain its layer stays.
   */
  private void withdraw(VolumeRecord volume, IOException cause) {
    try {
      files.delete(StoreLayout.volume(volume.id()));
      files.syncDirectory(StoreLayout.VOLUMES);
      deleteLater(layers.removeVolume(volume.layer()));
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /** Publishes a changed record. When that fails the volume stays as it was, here and on disk. */
  void replace(VolumeRecord volume) throws IOException {
    VolumeRecord old = get(volume.id());
    unpublished(old, volume);
    volume.publish(files);
    published(volume.id());
    swap(old, volume);
  }

  /** The same, but the caller takes care of the file and then calls {@link #published}. */
  void replaceInMemory(VolumeRecord volume) throws IOException {
    VolumeRecord old = get(volume.id());
    unpublished(old, volume);
    swap(old, volume);
  }

  private void unpublished(VolumeRecord old, VolumeRecord volume) {
    List<UUID> either = List.of(old.layer(), volume.layer());
    unpublished.computeIfAbsent(volume.id(), _ -> new HashSet<>()).addAll(either);
    unpublishedLayers.addAll(either);
  }

  void published(UUID id) {
    Set<UUID> settled = unpublished.remove(id);
    if (settled != null) {
      unpublishedLayers.removeAll(settled);
    }
  }

  /** Whether the record on disk may be another one. */
  boolean isUnpublished(UUID id) {
    return unpublished.containsKey(id);
  }

  private void swap(VolumeRecord old, VolumeRecord volume) throws IOException {
    volumes.put(volume);
    if (!old.layer().equals(volume.layer())) {
      layers.addVolume(volume.layer());
      deleteLater(layers.removeVolume(old.layer()));
    }
  }

  /**
   * Removes a volume.
   *
   * @return files that nobody needs any more, for the caller to delete without the lock
   */
  List<String> remove(VolumeRecord volume) throws IOException {
    files.delete(StoreLayout.volume(volume.id()));
    files.syncDirectory(StoreLayout.VOLUMES);
    volumes.remove(volume.id());
    published(volume.id());
    return layers.removeVolume(volume.layer());
  }

  void collect(UUID layer) {
    deleteLater(layers.collect(layer));
  }

  /** See {@link Garbage}. */
  void deleteLater(List<String> names) {
    open.garbage().add(names);
  }

  /** The next file to delete, or null. */
  @Nullable String takeGarbage() {
    return open.garbage().take();
  }

  boolean hasGarbage() {
    return !open.garbage().isEmpty();
  }

  /** How large the volume is, to be looked up without the lock. */
  VolumeSizes sizes(VolumeRecord volume) {
    VolumeSizes sizes = new VolumeSizes();
    Optional<UUID> floor = layerOfParent(volume);
    sizes.addChain(layers.node(volume.layer()), floor);
    sizes.addVolume(volume, floor);
    return sizes;
  }

  /** The same for those of these that can be used. */
  VolumeSizes sizes(Collection<UUID> ids) {
    VolumeSizes sizes = new VolumeSizes();
    for (UUID id : usable(ids)) {
      VolumeRecord volume = volumes.get(id);
      if (volume != null) {
        sizes.addChain(layers.node(volume.layer()), Optional.empty());
        sizes.addVolume(volume, layerOfParent(volume));
      }
    }
    return sizes;
  }

  /** How large all volumes are, to be looked up without the lock. */
  VolumeSizes sizes() {
    VolumeSizes sizes = new VolumeSizes();
    layers.nodes().forEach(sizes::addLayer);
    volumes.all().forEach(volume -> sizes.addVolume(volume, layerOfParent(volume)));
    return sizes;
  }

  private Optional<UUID> layerOfParent(VolumeRecord volume) {
    return volume.parent().map(volumes::get).map(VolumeRecord::layer);
  }
}
