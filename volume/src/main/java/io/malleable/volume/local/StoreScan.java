package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
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

/**
 * Reads what is there when a store is opened and, unless it is only looked at, removes what
 * unfinished work left behind. A file that cannot be read makes only those volumes unusable that
 * need it, and nothing goes that it may have named.
 */
final class StoreScan {
  private static final Logger LOG = System.getLogger(StoreScan.class.getName());

  private final StoreFiles files;
  private final LayerTable layers;
  private final OpenLayers open;
  private final VolumeTable volumes;
  private final Map<UUID, VolumeException> damaged;

  /** Of no use any more, but their names may be wanted again at any time. */
  private final List<String> unfinished = new ArrayList<>();

  /** Of no use any more, of layers. */
  private final List<String> unneeded = new ArrayList<>();

  /** Of no use any more, each with the disk that must not be used as long as it is there. */
  private final Map<String, UUID> outdated = new HashMap<>();

  private final TailScan tails;
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
   * @param volumes those that can be read
   * @param damaged volumes that cannot be used, and why
   */
  StoreScan(
      StoreFiles files,
      LayerTable layers,
      OpenLayers open,
      VolumeTable volumes,
      Map<UUID, VolumeException> damaged) {
    this.files = files;
    this.layers = layers;
    this.open = open;
    this.volumes = volumes;
    this.damaged = damaged;
    this.tails = new TailScan(files, layers, volumes, this::addDamaged);
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
      tails.noteLostWrites();
      loadLostWrites();
    }
    for (VolumeRecord volume : volumes.all()) {
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
      volumes.remove(disk);
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
        volumes.put(VolumeRecord.read(files, id));
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

  /** See {@link TailScan#adopted}. */
  Map<VolumeRecord, VolumeRecord> adopted() {
    return tails.adopted();
  }

  /** Disks that may lack writes which were acknowledged before the host went down. */
  Set<UUID> lostWrites() {
    return lostWrites;
  }

  /** Whether every layer that a volume stands on could be read. */
  private boolean loadLayers() throws IOException {
    Map<UUID, Optional<UUID>> parents = new HashMap<>();
    Map<UUID, VolumeException> unreadable = new HashMap<>();
    List<UUID> tailed = new ArrayList<>();
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
      } else if (name.endsWith(StoreLayout.TAIL)) {
        tailed.add(id);
      }
    }
    tails.read(tailed, parents);
    layers.load(parents, unreadable);
    layers.outdated().addAll(ofEarlierVersion);
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
        loadExtra(id, name);
      } else if (missing.isEmpty() && damaged.isEmpty()) {
        // Its creation, or its deletion, was cut off.
        unneeded.add(StoreLayout.LAYERS + "/" + name);
      }
    }
    for (String name : names) {
      UUID id = name.endsWith(StoreLayout.LIVE) ? StoreLayout.idOrNull(stem(name)) : null;
      if (id != null && open.sums().has(id)) {
        // Those of the frozen layer were made of them.
        unneeded.add(StoreLayout.LAYERS + "/" + name);
      }
    }
    return missing.isEmpty();
  }

  private void loadLostWrites() throws IOException {
    for (String name : files.list(StoreLayout.LOST_WRITES)) {
      UUID disk = StoreLayout.idOrNull(name);
      if (disk != null) {
        lostWrites.add(disk);
      } else {
        noteUnknown(StoreLayout.LOST_WRITES, name);
      }
    }
  }

  /** Layers that volumes stand on, directly or not, and whose maps are absent or unreadable. */
  private Set<UUID> missing(Map<UUID, Optional<UUID>> parents) {
    Set<UUID> missing = new HashSet<>();
    Set<UUID> seen = new HashSet<>();
    for (VolumeRecord volume : volumes.all()) {
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

  private void loadExtra(UUID layer, String name) {
    boolean sums = name.endsWith(StoreLayout.SUMS);
    boolean pack = name.endsWith(StoreLayout.PACK);
    if (!sums && !pack) {
      return;
    }
    Optional<UUID> disk = volumes.writingTo(layer);
    if (disk.isPresent()) {
      // Made while the layer passed for frozen: not of what is written to it from now on.
      outdated.put(StoreLayout.LAYERS + "/" + name, disk.get());
    } else if (sums) {
      open.sums().add(layer);
    } else {
      open.packs().load(layer);
    }
  }

  private static String stem(String name) {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }
}
