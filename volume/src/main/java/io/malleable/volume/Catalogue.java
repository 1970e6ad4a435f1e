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

/** The volume records and the layers they stand on. Guarded by the store's lock. */
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

  /** Volumes whose record cannot be read. */
  private final Map<UUID, VolumeException> damaged = new HashMap<>();

  private final Queue<String> garbage = new ArrayDeque<>();

  private Catalogue(StoreFiles files) {
    this.files = files;
    this.layers = new LayerTable(files);
  }

  /** Reads what is there and removes what unfinished work left behind. */
  static Catalogue load(StoreFiles files) throws IOException {
    files.createDirectory(StoreLayout.VOLUMES);
    files.createDirectory(StoreLayout.LAYERS);
    Catalogue catalogue = new Catalogue(files);
    catalogue.loadVolumes();
    boolean complete = catalogue.loadLayers();
    for (VolumeRecord volume : catalogue.records.values()) {
      if (catalogue.layers.exists(volume.layer())) {
        catalogue.layers.addVolume(volume.layer());
      }
    }
    if (complete && catalogue.damaged.isEmpty()) {
      catalogue.deleteLater(catalogue.layers.collectAll());
    } else {
      LOG.log(Level.WARNING, "the store has damaged files: unused layers are kept");
    }
    return catalogue;
  }

  private void loadVolumes() throws IOException {
    for (String name : files.list(StoreLayout.VOLUMES)) {
      UUID id = idOrNull(name);
      if (id == null) {
        removeLeftover(StoreLayout.VOLUMES, name);
        continue;
      }
      try {
        records.put(id, VolumeRecord.read(files, id));
      } catch (VolumeException e) {
        LOG.log(Level.ERROR, "volume " + id + " cannot be used", e);
        damaged.put(id, e);
      }
    }
  }

  /** Whether every layer that somebody needs could be read. */
  private boolean loadLayers() throws IOException {
    Map<UUID, Optional<UUID>> parents = new HashMap<>();
    Map<UUID, VolumeException> unreadable = new HashMap<>();
    List<String> names = files.list(StoreLayout.LAYERS);
    for (String name : names) {
      UUID id = idOrNull(stem(name));
      if (id == null || name.endsWith(StoreLayout.TEMPORARY)) {
        removeLeftover(StoreLayout.LAYERS, name);
      } else if (name.endsWith(StoreLayout.MAP)) {
        try {
          parents.put(id, MapLog.Header.read(files, id).parent());
        } catch (VolumeException e) {
          unreadable.put(id, e);
        }
      }
    }
    layers.load(parents);
    Set<UUID> needed = new HashSet<>();
    parents.values().forEach(parent -> parent.ifPresent(needed::add));
    records.values().forEach(volume -> needed.add(volume.layer()));
    // A layer that nobody names is one whose creation a crash cut off.
    boolean complete = true;
    for (Map.Entry<UUID, VolumeException> layer : unreadable.entrySet()) {
      if (needed.contains(layer.getKey())) {
        LOG.log(Level.ERROR, "layer " + layer.getKey() + " cannot be used", layer.getValue());
        complete = false;
      }
    }
    for (String name : names) {
      UUID id = idOrNull(stem(name));
      if (id == null || name.endsWith(StoreLayout.TEMPORARY)) {
        continue;
      }
      if (parents.containsKey(id)) {
        loadExtra(id, name);
      } else if (complete && damaged.isEmpty()) {
        files.delete(StoreLayout.LAYERS + "/" + name);
      }
    }
    return complete;
  }

  private void loadExtra(UUID layer, String name) throws IOException {
    boolean sums = name.endsWith(StoreLayout.SUMS);
    boolean pack = name.endsWith(StoreLayout.PACK);
    if ((sums || pack) && diskOn(layer).isPresent()) {
      // Made while the layer passed for frozen: not of what is written to it from now on.
      files.delete(StoreLayout.LAYERS + "/" + name);
      files.syncDirectory(StoreLayout.LAYERS);
    } else if (sums) {
      layers.addSums(layer);
    } else if (pack) {
      layers.packs().load(layer);
    }
  }

  private void removeLeftover(String directory, String name) throws IOException {
    if (name.endsWith(StoreLayout.TEMPORARY)) {
      files.delete(directory + "/" + name);
    } else {
      LOG.log(Level.WARNING, "left alone, not a file of this store: {0}/{1}", directory, name);
    }
  }

  private static String stem(String name) {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }

  private static @Nullable UUID idOrNull(String name) {
    try {
      UUID id = UUID.fromString(name);
      return id.toString().equals(name) ? id : null;
    } catch (IllegalArgumentException e) {
      return null;
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

  /** What the volume's own layers occupy: down to the first on which others stand too. */
  long allocatedBytes(VolumeRecord volume) throws IOException {
    long sum = 0;
    for (UUID layer : layers.exclusiveTo(volume.layer())) {
      sum += layerBytes(layer);
    }
    return sum;
  }

  long layerBytes(UUID layer) throws IOException {
    try (StoreFile data = files.open(StoreLayout.data(layer));
        StoreFile map = files.open(StoreLayout.map(layer))) {
      return data.allocatedBytes() + map.allocatedBytes() + packBytes(layer);
    }
  }

  private long packBytes(UUID layer) throws IOException {
    String name = StoreLayout.pack(layer);
    if (!layers.packs().has(layer) || !files.exists(name)) {
      return 0;
    }
    try (StoreFile pack = files.open(name)) {
      return pack.allocatedBytes();
    }
  }

  VolumeInfo info(VolumeRecord volume) throws IOException {
    return new VolumeInfo(
        volume.id(), volume.sealed(), volume.sizeBytes(), allocatedBytes(volume), volume.parent());
  }
}
