package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Which layers have a {@link Pack}, and on which floor it stands. What is listed may be absent from
 * the disk; what is not listed certainly is, or will be once the directory is synced. Guarded by
 * the catalogue's lock.
 */
final class PackTable {
  private static final Logger LOG = System.getLogger(PackTable.class.getName());

  /** Of a pack that is never used: no layer has this id. */
  private static final UUID NO_FLOOR = new UUID(0, 0);

  private final StoreFiles files;
  private final Garbage garbage;
  private final Map<UUID, UUID> floors = new HashMap<>();

  /** Packs that are there and cannot be read. */
  private final Map<UUID, IOException> damages = new HashMap<>();

  PackTable(StoreFiles files, Garbage garbage) {
    this.files = files;
    this.garbage = garbage;
  }

  /** At start: a pack found on disk. One that cannot be read is of no use to anybody. */
  void load(UUID layer) {
    try {
      floors.put(layer, Pack.floorOf(files, layer));
    } catch (IOException e) {
      LOG.log(Level.WARNING, "dropped the pack of layer " + layer + ", which is only a copy", e);
      drop(layer, e);
    }
  }

  private void drop(UUID layer, IOException damage) {
    try {
      files.delete(StoreLayout.pack(layer));
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot delete the pack of layer " + layer + "; it is not used", e);
      damages.put(layer, damage);
      floors.put(layer, NO_FLOOR);
    }
  }

  /** Before the first byte of a pack is written. */
  void expect(UUID layer, UUID floor) {
    damages.remove(layer);
    floors.put(layer, floor);
  }

  List<UUID> all() {
    return List.copyOf(floors.keySet());
  }

  /** Why the layer's pack cannot be read, though it is there. */
  @Nullable IOException damage(UUID layer) {
    return damages.get(layer);
  }

  boolean has(UUID layer) {
    return floors.containsKey(layer);
  }

  /** Whether there is one that can be tried. */
  boolean usable(UUID layer) {
    return !NO_FLOOR.equals(floors.getOrDefault(layer, NO_FLOOR));
  }

  /** Without the lock: takes as long as the pack is large. */
  static LayerOpening.Extra<Pack> read(StoreFiles files, UUID layer) {
    try {
      return new LayerOpening.Extra<>(Pack.open(files, layer), null);
    } catch (NoSuchFileException e) {
      return LayerOpening.Extra.none();
    } catch (IOException e) {
      return new LayerOpening.Extra<>(null, e);
    }
  }

  /**
   * Gives the layer its pack, as it was read, unless it was withdrawn meanwhile: then blocks may
   * have wandered that are not in it.
   */
  void opened(Layer layer, LayerOpening.Extra<Pack> read) {
    Pack pack = read.file();
    if (!usable(layer.id)) {
      closeWithdrawn(pack);
      return;
    }
    layer.setPack(pack);
    if (read.damage() != null) {
      LOG.log(Level.WARNING, "layer " + layer.id + " is read without its pack", read.damage());
      damages.put(layer.id, read.damage());
    }
  }

  private static void closeWithdrawn(@Nullable Pack pack) {
    try {
      if (pack != null) {
        pack.close();
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot close the withdrawn pack of layer " + pack.layer(), e);
    }
  }

  /** Layers whose pack leaves this one, and what is below it, out. */
  List<UUID> onFloor(UUID floor) {
    List<UUID> found = new ArrayList<>();
    floors.forEach((layer, below) -> {
      if (below.equals(floor)) {
        found.add(layer);
      }
    });
    return found;
  }

  /** The file goes; durably so at the next sync of the directory. */
  void delete(UUID layer) throws IOException {
    if (floors.containsKey(layer)) {
      garbage.discard(StoreLayout.pack(layer));
      forget(layer);
    }
  }

  /** The file goes with the layer's others. */
  void forget(UUID layer) {
    damages.remove(layer);
    floors.remove(layer);
  }
}
