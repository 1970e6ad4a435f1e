package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
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
  private static final Logger LOG = System.getLogger(Catalogue.class.getName());

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

  private final Queue<String> garbage = new ArrayDeque<>();

  /** What a store is opened for. */
  enum Access {
    MAINTAIN,
    READ
  }

  private Catalogue(StoreFiles files) {
    this.files = files;
    this.layers = new LayerTable(files);
  }

  /**
   * Reads what is there and, unless it is only looked at, removes what unfinished work left behind.
   * A file that cannot be read makes only those volumes unusable that need it.
   */
  static Catalogue load(StoreFiles files, Access access) throws IOException {
    boolean changing = access == Access.MAINTAIN;
    if (changing) {
      files.createDirectory(StoreLayout.VOLUMES);
      files.createDirectory(StoreLayout.LAYERS);
    }
    Catalogue catalogue = new Catalogue(files);
    Leftovers leftovers = new Leftovers();
    catalogue.loadVolumes(leftovers);
    boolean complete = catalogue.loadLayers(leftovers);
    if (changing) {
      leftovers.outdated.forEach(catalogue::removeOutdated);
    }
    for (VolumeRecord volume : catalogue.records.values()) {
      if (catalogue.layers.exists(volume.layer())) {
        catalogue.layers.addVolume(volume.layer());
      }
    }
    if (changing && complete && catalogue.damaged.isEmpty()) {
      catalogue.deleteLater(catalogue.layers.collectAll());
    } else {
      catalogue.layers.keep(complete);
    }
    if (changing) {
      leftovers.unfinished.forEach(catalogue::deleteUnfinished);
      catalogue.deleteLater(leftovers.unneeded);
    }
    return catalogue;
  }

  /**
   * Files that are of no use any more.
   *
   * @param unfinished their names may be wanted again at any time
   * @param unneeded those of layers
   * @param outdated by name, each with the disk that must not be used as long as it is there
   */
  private record Leftovers(
      List<String> unfinished, List<String> unneeded, Map<String, UUID> outdated) {
    Leftovers() {
      this(new ArrayList<>(), new ArrayList<>(), new HashMap<>());
    }

    void add(String directory, String name) {
      if (name.endsWith(StoreLayout.TEMPORARY)) {
        unfinished.add(directory + "/" + name);
      } else {
        LOG.log(Level.WARNING, "left alone, not a file of this store: {0}/{1}", directory, name);
      }
    }
  }

  /** What stays takes space until the next start, or until it is overwritten. */
  private void deleteUnfinished(String name) {
    try {
      files.delete(name);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot delete the unfinished " + name, e);
    }
  }

  private void removeOutdated(String name, UUID disk) {
    try {
      files.delete(name);
      files.syncDirectory(StoreLayout.directoryOf(name));
    } catch (IOException e) {
      addDamaged(disk, new IOException("cannot delete the outdated " + name, e));
      records.remove(disk);
    }
  }

  private void loadVolumes(Leftovers leftovers) throws IOException {
    for (String name : files.list(StoreLayout.VOLUMES)) {
      UUID id = StoreLayout.idOrNull(name);
      if (id == null) {
        leftovers.add(StoreLayout.VOLUMES, name);
        continue;
      }
      try {
        records.put(id, VolumeRecord.read(files, id));
      } catch (IOException e) {
        addDamaged(id, e);
      }
    }
  }

  private void addDamaged(UUID volume, IOException e) {
    LOG.log(Level.ERROR, "volume " + volume + " cannot be used", e);
    damaged.put(volume, damage(e));
  }

  /** Why something cannot be used; never {@code UNAVAILABLE}, which is said of a whole store. */
  private static VolumeException damage(IOException e) {
    return e instanceof VolumeException known
        ? known
        : new VolumeException(Reason.CORRUPT, "it cannot be read: " + e.getMessage(), e);
  }

  /** Whether every layer that a volume stands on could be read. */
  private boolean loadLayers(Leftovers leftovers) throws IOException {
    Map<UUID, Optional<UUID>> parents = new HashMap<>();
    Map<UUID, VolumeException> unreadable = new HashMap<>();
    List<String> names = files.list(StoreLayout.LAYERS);
    for (String name : names) {
      UUID id = StoreLayout.idOrNull(stem(name));
      if (id == null || name.endsWith(StoreLayout.TEMPORARY)) {
        leftovers.add(StoreLayout.LAYERS, name);
      } else if (name.endsWith(StoreLayout.MAP)) {
        try {
          parents.put(id, MapLog.Header.read(files, id).parent());
        } catch (IOException e) {
          unreadable.put(id, damage(e));
        }
      }
    }
    layers.load(parents, unreadable);
    Set<UUID> missing = missing(parents);
    for (UUID layer : missing) {
      LOG.log(Level.ERROR, "a volume cannot be used", layers.absence(layer));
    }
    for (String name : names) {
      UUID id = StoreLayout.idOrNull(stem(name));
      if (id == null || name.endsWith(StoreLayout.TEMPORARY)) {
        continue;
      }
      if (parents.containsKey(id)) {
        loadExtra(id, name, leftovers);
      } else if (missing.isEmpty() && damaged.isEmpty()) {
        // Its creation, or its deletion, was cut off.
        leftovers.unneeded.add(StoreLayout.LAYERS + "/" + name);
      }
    }
    return missing.isEmpty();
  }

  /** Layers that volumes stand on, directly or not, and whose maps are absent or unreadable. */
  private Set<UUID> missing(Map<UUID, Optional<UUID>> parents) {
    Set<UUID> missing = new HashSet<>();
    Set<UUID> seen = new HashSet<>();
    for (VolumeRecord volume : records.values()) {
      Optional<UUID> layer = Optional.of(volume.layer());
      while (layer.isPresent() && seen.add(layer.get())) {
        if (!parents.containsKey(layer.get())) {
          missing.add(layer.get());
        }
        layer = parents.getOrDefault(layer.get(), Optional.empty());
      }
    }
    return missing;
  }

  private void loadExtra(UUID layer, String name, Leftovers leftovers) {
    boolean sums = name.endsWith(StoreLayout.SUMS);
    boolean pack = name.endsWith(StoreLayout.PACK);
    Optional<UUID> disk = sums || pack ? diskOn(layer) : Optional.empty();
    if (disk.isPresent()) {
      // Made while the layer passed for frozen: not of what is written to it from now on.
      leftovers.outdated.put(StoreLayout.LAYERS + "/" + name, disk.get());
    } else if (sums) {
      layers.addSums(layer);
    } else if (pack) {
      layers.packs().load(layer);
    }
  }

  private static String stem(String name) {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
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
    for (VolumeRecord volume : records.values()) {
      if (!volume.sealed() && volume.layer().equals(layer)) {
        return Optional.of(volume.id());
      }
    }
    return Optional.empty();
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

  /** What an error left undone must be done before anything is promised about the volume. */
  void publishIfNeeded(UUID id) throws IOException {
    if (unpublished.containsKey(id)) {
      get(id).publish(files);
      unpublished.remove(id);
    }
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
