package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The volume records and the layers they stand on. Guarded by the lock of {@link GuardedCatalogue}.
 */
final class Catalogue {
  private final StoreFiles files;
  private final LayerTable layers;
  private final Map<UUID, VolumeRecord> records = new HashMap<>();

  /**
   * Volumes whose record on disk may be another one than that in memory, each with the layers that
   * it may name.
   */
  private final Map<UUID, Set<UUID>> unpublished = new HashMap<>();

  /** Volumes that cannot be used, because of their records or because of files beside them. */
  private final Map<UUID, VolumeException> damaged = new HashMap<>();

  /** Disks that may lack writes which were acknowledged before the host went down. */
  private final Set<UUID> lostWrites = new HashSet<>();

  private final Queue<String> garbage = new ArrayDeque<>();

  private Catalogue(StoreFiles files, MapMemory memory) {
    this.files = files;
    this.layers = new LayerTable(files, memory);
  }

  /** What is found when a store is opened; see {@link StoreScan}. */
  static Catalogue load(StoreFiles files, MapMemory memory, StoreScan.Access access)
      throws IOException {
    Catalogue catalogue = new Catalogue(files, memory);
    StoreScan scan = new StoreScan(files, catalogue.layers, catalogue.records, catalogue.damaged);
    catalogue.deleteLater(scan.run(access));
    scan.adopted()
        .forEach((disk, before) ->
            catalogue.unpublished(before, catalogue.records.getOrDefault(disk, before)));
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

  Optional<VolumeRecord> find(UUID id) throws VolumeException {
    VolumeException damage = damaged.get(id);
    if (damage != null) {
      throw new VolumeException(
          damage.reason(),
          "volume %s cannot be used: %s".formatted(id, damage.getMessage()),
          damage);
    }
    return Optional.ofNullable(records.get(id));
  }

  VolumeRecord get(UUID id) throws VolumeException {
    return find(id)
        .orElseThrow(() -> new VolumeException(Reason.NOT_FOUND, "there is no volume " + id));
  }

  List<VolumeRecord> all() {
    return List.copyOf(records.values());
  }

  /** The disk that writes to the layer, if one does. */
  Optional<UUID> diskOn(UUID layer) {
    return VolumeRecord.writingTo(layer, records.values());
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
    for (VolumeRecord volume : records.values()) {
      if (layers.standsOn(volume.layer(), layer)) {
        found.add(volume.id());
      }
    }
    return found;
  }

  /**
   * Whether no record on disk can make the layer one that is written to after a restart. What is
   * derived from a frozen layer, or changes it, needs more than that it is frozen in memory.
   */
  boolean frozenOnDisk(UUID layer) {
    return unpublished.values().stream().noneMatch(layers -> layers.contains(layer));
  }

  /** Whether a disk writes to the layer, or would after a restart. */
  boolean mayBeWritten(UUID layer) {
    return diskOn(layer).isPresent() || !frozenOnDisk(layer);
  }

  /** Layers that no disk writes to, nor would after a restart. */
  List<UUID> frozenLayers() {
    Set<UUID> written = new HashSet<>();
    for (VolumeRecord volume : records.values()) {
      if (!volume.sealed()) {
        written.add(volume.layer());
      }
    }
    unpublished.values().forEach(written::addAll);
    return layers.all().stream().filter(layer -> !written.contains(layer)).toList();
  }

  List<UUID> cloned(UUID parent) {
    List<UUID> found = new ArrayList<>();
    for (VolumeRecord volume : records.values()) {
      if (volume.parent().isPresent() && volume.parent().get().equals(parent)) {
        found.add(volume.id());
      }
    }
    return found;
  }

  /** Publishes a new volume on a new, empty layer. */
  void addOnNewLayer(VolumeRecord volume, Optional<UUID> below) throws IOException {
    layers.create(volume.layer(), below);
    try {
      add(volume);
    } catch (IOException e) {
      collect(volume.layer());
      throw e;
    }
  }

  /** Publishes a new volume on a layer that exists. */
  void add(VolumeRecord volume) throws IOException {
    layers.addVolume(volume.layer());
    try {
      volume.publish(files);
    } catch (IOException e) {
      withdraw(volume, e);
      throw e;
    }
    records.put(volume.id(), volume);
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
    unpublished.remove(volume.id());
    swap(old, volume);
  }

  /** The same, but the caller takes care of the file and then calls {@link #published}. */
  void replaceInMemory(VolumeRecord volume) throws IOException {
    VolumeRecord old = get(volume.id());
    unpublished(old, volume);
    swap(old, volume);
  }

  private void unpublished(VolumeRecord old, VolumeRecord volume) {
    unpublished
        .computeIfAbsent(volume.id(), id -> new HashSet<>())
        .addAll(List.of(old.layer(), volume.layer()));
  }

  void published(UUID id) {
    unpublished.remove(id);
  }

  /** Whether the record on disk may be another one. */
  boolean isUnpublished(UUID id) {
    return unpublished.containsKey(id);
  }

  private void swap(VolumeRecord old, VolumeRecord volume) throws IOException {
    records.put(volume.id(), volume);
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
    records.remove(volume.id());
    unpublished.remove(volume.id());
    return layers.removeVolume(volume.layer());
  }

  void collect(UUID layer) {
    deleteLater(layers.collect(layer));
  }

  /**
   * Files that nobody needs any more: deleted by the maintenance, without the lock, or after the
   * next start. A file system that discards takes seconds for a layer of many extents.
   */
  void deleteLater(List<String> names) {
    garbage.addAll(names);
  }

  /** The next file to delete, or null. */
  @Nullable String takeGarbage() {
    return garbage.poll();
  }

  /** What was asked for, if that is what there is. */
  VolumeInfo sameOrRefuse(VolumeRecord existing, long sizeBytes, Optional<UUID> parent)
      throws IOException {
    if (existing.sizeBytes() != sizeBytes
        || !existing.parent().equals(parent)
        || existing.disk().isPresent()) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS,
          "volume %s exists already, with other properties".formatted(existing.id()));
    }
    return info(existing);
  }

  VolumeInfo info(VolumeRecord volume) throws IOException {
    Set<UUID> own = Set.copyOf(layers.exclusiveTo(volume.layer()));
    long allocated = 0;
    long diverged = 0;
    for (UUID layer : layers.above(layerOfParent(volume), volume.layer())) {
      long bytes = StoreLayout.allocatedBytes(files, layer);
      allocated += own.contains(layer) ? bytes : 0;
      diverged += bytes;
    }
    return new VolumeInfo(
        volume.id(), volume.sealed(), volume.sizeBytes(), allocated, diverged, volume.parent());
  }

  private Optional<UUID> layerOfParent(VolumeRecord volume) {
    return volume.parent().map(records::get).map(VolumeRecord::layer);
  }
}
