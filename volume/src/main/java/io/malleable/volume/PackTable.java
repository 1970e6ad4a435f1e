package io.malleable.volume;

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
  private final Map<UUID, UUID> floors = new HashMap<>();

  /** Packs that are there and cannot be read. */
  private final Map<UUID, IOException> damages = new HashMap<>();

  PackTable(StoreFiles files) {
    this.files = files;
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

  /** Null when there is none, or none that can be used. */
  @Nullable Pack open(UUID layer) {
    if (NO_FLOOR.equals(floors.getOrDefault(layer, NO_FLOOR))) {
      return null;
    }
    try {
      return Pack.open(files, layer);
    } catch (NoSuchFileException e) {
      return null;
    } catch (IOException e) {
      LOG.log(Level.WARNING, "layer " + layer + " is read without its pack", e);
      damages.put(layer, e);
      return null;
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
      files.delete(StoreLayout.pack(layer));
      forget(layer);
    }
  }

  /** The file goes with the layer's others. */
  void forget(UUID layer) {
    damages.remove(layer);
    floors.remove(layer);
  }
}
