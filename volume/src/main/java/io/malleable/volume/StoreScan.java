package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Reads what is there when a store is opened and, unless it is only looked at, removes what
 * unfinished work left behind. A file that cannot be read makes only those volumes unusable that
 * need it, and nothing goes that it may have named.
 */
final class StoreScan {
  private static final Logger LOG = System.getLogger(StoreScan.class.getName());

  private final StoreFiles files;
  private final LayerTable layers;
  private final Map<UUID, VolumeRecord> records;
  private final Map<UUID, VolumeException> damaged;

  /** Of no use any more, but their names may be wanted again at any time. */
  private final List<String> unfinished = new ArrayList<>();

  /** Of no use any more, of layers. */
  private final List<String> unneeded = new ArrayList<>();

  /** Of no use any more, each with the disk that must not be used as long as it is there. */
  private final Map<String, UUID> outdated = new HashMap<>();

  /** Layers with a tail of an earlier boot that nothing was written to. */
  private final List<UUID> unused = new ArrayList<>();

  /** Layers that were in use when the host went down, and the disk that used each. */
  private final Map<UUID, UUID> past = new HashMap<>();

  private final Map<UUID, VolumeRecord> adopted = new HashMap<>();
  private final Set<UUID> lostWrites = new HashSet<>();

  private final Set<UUID> ofEarlierVersion = new HashSet<>();

  /** What a store is opened for. */
  enum Access {
    MAINTAIN,
    READ
  }

  /**
   * Fills what is empty.
   *
   * @param records those that can be read
   * @param damaged volumes that cannot be used, and why
   */
  StoreScan(
      StoreFiles files,
      LayerTable layers,
      Map<UUID, VolumeRecord> records,
      Map<UUID, VolumeException> damaged) {
    this.files = files;
    this.layers = layers;
    this.records = records;
    this.damaged = damaged;
  }

  /** Returns the files that can be deleted at leisure. */
  List<String> run(Access access) throws IOException {
    boolean changing = access == Access.MAINTAIN;
    if (changing) {
      files.createDirectory(StoreLayout.VOLUMES);
      files.createDirectory(StoreLayout.LAYERS);
      files.createDirectory(StoreLayout.LOST_WRITES);
      // What a process that died has made or removed is acted upon from now on.
      files.syncDirectory(StoreLayout.VOLUMES);
      files.syncDirectory(StoreLayout.LAYERS);
    }
    loadVolumes();
    boolean complete = loadLayers();
    if (changing) {
      outdated.forEach(this::removeOutdated);
      noteLostWrites();
    }
    for (VolumeRecord volume : records.values()) {
      if (layers.exists(volume.layer())) {
        layers.addVolume(volume.layer());
      }
    }
    List<String> garbage = new ArrayList<>();
    if (changing && complete && damaged.isEmpty()) {
      garbage.addAll(layers.collectAll());
    } else {
      layers.keep(complete);
    }
    if (changing) {
      unfinished.forEach(this::deleteUnfinished);
      garbage.addAll(unneeded);
    }
    return garbage;
  }

  private void noteUnknown(String directory, String name) {
    if (name.endsWith(StoreLayout.TEMPORARY)) {
      unfinished.add(directory + "/" + name);
    } else {
      LOG.log(Level.WARNING, "left alone, not a file of this store: {0}/{1}", directory, name);
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

  private void loadVolumes() throws IOException {
    for (String name : files.list(StoreLayout.VOLUMES)) {
      UUID id = StoreLayout.idOrNull(name);
      if (id == null) {
        noteUnknown(StoreLayout.VOLUMES, name);
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

  /** Disks whose top layer is another one than their record on disk says, and that record. */
  Map<UUID, VolumeRecord> adopted() {
    return adopted;
  }

  /** Disks that may lack writes which were acknowledged before the host went down. */
  Set<UUID> lostWrites() {
    return lostWrites;
  }

  /** Whether every layer that a volume stands on could be read. */
  private boolean loadLayers() throws IOException {
    Map<UUID, Optional<UUID>> parents = new HashMap<>();
    Map<UUID, VolumeException> unreadable = new HashMap<>();
    List<String> names = files.list(StoreLayout.LAYERS);
    for (String name : names) {
      UUID id = StoreLayout.idOrNull(stem(name));
      if (id == null || name.endsWith(StoreLayout.TEMPORARY)) {
        noteUnknown(StoreLayout.LAYERS, name);
      } else if (name.endsWith(StoreLayout.MAP)) {
        try {
          MapHeader header = MapHeader.read(files, id);
          parents.put(id, header.parent());
          if (header.version() < MapLog.VERSION) {
            ofEarlierVersion.add(id);
          }
        } catch (IOException e) {
          unreadable.put(id, damage(e));
        }
      }
    }
    loadTails(names, parents);
    layers.load(parents, unreadable);
    layers.outdated().addAll(ofEarlierVersion);
    Set<UUID> missing = missing(parents);
    for (UUID layer : missing) {
      LOG.log(Level.ERROR, "a volume cannot be used", layers.absence(layer));
    }
    Map<UUID, UUID> writers = writers();
    for (String name : names) {
      UUID id = StoreLayout.idOrNull(stem(name));
      if (id == null || name.endsWith(StoreLayout.TEMPORARY)) {
        continue;
      }
      if (parents.containsKey(id)) {
        loadExtra(id, name, Optional.ofNullable(writers.get(id)));
      } else if (missing.isEmpty() && damaged.isEmpty()) {
        // Its creation, or its deletion, was cut off.
        unneeded.add(StoreLayout.LAYERS + "/" + name);
      }
    }
    for (String name : names) {
      UUID id = name.endsWith(StoreLayout.LIVE) ? StoreLayout.idOrNull(stem(name)) : null;
      if (id != null && layers.sums().has(id)) {
        // Those of the frozen layer were made of them.
        unneeded.add(StoreLayout.LAYERS + "/" + name);
      }
    }
    return missing.isEmpty();
  }

  /** The disk that writes to each layer that is written to. */
  private Map<UUID, UUID> writers() {
    Map<UUID, UUID> writers = new HashMap<>();
    for (VolumeRecord volume : records.values()) {
      if (!volume.sealed()) {
        writers.put(volume.layer(), volume.id());
      }
    }
    return writers;
  }

  /** What servers that died in this boot of the host, or an earlier one, had not made durable. */
  private void loadTails(List<String> names, Map<UUID, Optional<UUID>> parents) throws IOException {
    UUID boot = files.bootId();
    Map<UUID, UUID> writers = writers();
    for (String name : names) {
      UUID layer = name.endsWith(StoreLayout.TAIL) ? StoreLayout.idOrNull(stem(name)) : null;
      if (layer == null || !parents.containsKey(layer)) {
        continue;
      }
      try {
        Optional<TailHeader> header = TailHeader.read(files, layer);
        if (header.isPresent() && header.get().boot().equals(boot)) {
          adopt(header.get(), parents);
        } else if (header.isPresent() && header.get().inUse()) {
          past.put(layer, header.get().disk());
        } else {
          unused.add(layer);
        }
      } catch (IOException e) {
        UUID disk = writers.getOrDefault(layer, StoreLayout.NOBODY);
        if (e instanceof VolumeException known
            && known.reason() == VolumeException.Reason.CORRUPT) {
          // Of whichever boot: what it held is lost.
          LOG.log(Level.ERROR, "disk " + disk + " may lack writes that were acknowledged", e);
          past.put(layer, disk);
        } else if (records.remove(disk) != null) {
          addDamaged(disk, e);
        }
      }
    }
  }

  /** The server died before the disk's record named the layer that the disk wrote to. */
  private void adopt(TailHeader header, Map<UUID, Optional<UUID>> parents) {
    VolumeRecord before = records.get(header.disk());
    if (before != null
        && !before.sealed()
        && Optional.of(before.layer()).equals(parents.get(header.layer()))
        && records.values().stream().noneMatch(r -> r.layer().equals(header.layer()))) {
      records.put(before.id(), before.withLayer(header.layer()));
      adopted.put(before.id(), before);
    }
  }

  /**
   * Durable before the tails that say so are replaced. A disk whose machine lived on must be known
   * until somebody has seen to that.
   */
  private void noteLostWrites() throws IOException {
    boolean found = false;
    for (Map.Entry<UUID, UUID> tail : past.entrySet()) {
      if (isOfDisk(tail.getKey(), records.get(tail.getValue()))) {
        files.create(StoreLayout.lostWrites(tail.getValue())).close();
        found = true;
      }
    }
    if (found) {
      files.syncDirectory(StoreLayout.LOST_WRITES);
    }
    for (Map.Entry<UUID, UUID> tail : past.entrySet()) {
      MapTail.renew(files, tail.getKey(), tail.getValue());
    }
    for (UUID layer : unused) {
      files.delete(StoreLayout.tail(layer));
    }
    for (String name : files.list(StoreLayout.LOST_WRITES)) {
      UUID disk = StoreLayout.idOrNull(name);
      if (disk != null) {
        lostWrites.add(disk);
      } else {
        noteUnknown(StoreLayout.LOST_WRITES, name);
      }
    }
  }

  /** Whether the layer was the disk's when the host went down, and is of its chain. */
  private boolean isOfDisk(UUID layer, @Nullable VolumeRecord disk) {
    return disk != null
        && !disk.sealed()
        && (disk.layer().equals(layer)
            || Optional.of(layer).equals(layers.parentOf(disk.layer()))
            || Optional.of(disk.layer()).equals(layers.parentOf(layer)));
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

  private void loadExtra(UUID layer, String name, Optional<UUID> disk) {
    boolean sums = name.endsWith(StoreLayout.SUMS);
    boolean pack = name.endsWith(StoreLayout.PACK);
    if (!sums && !pack) {
      return;
    }
    if (disk.isPresent()) {
      // Made while the layer passed for frozen: not of what is written to it from now on.
      outdated.put(StoreLayout.LAYERS + "/" + name, disk.get());
    } else if (sums) {
      layers.addSums(layer);
    } else {
      layers.packs().load(layer);
    }
  }

  private static String stem(String name) {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }
}
