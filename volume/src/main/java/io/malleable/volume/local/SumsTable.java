package io.malleable.volume.local;

import java.io.Closeable;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Which layers have checksums that can be used. Guarded by the catalogue's lock. */
final class SumsTable implements Closeable {
  private static final Logger LOG = System.getLogger(SumsTable.class.getName());

  private final StoreFiles files;
  private final Garbage garbage;
  private final Set<UUID> usable = new HashSet<>();

  /** Why those that are there cannot be read. */
  private final Map<UUID, IOException> damage = new HashMap<>();

  /** Closed with the table: a read may be using them. */
  private final List<LayerSums> retired = new ArrayList<>();

  SumsTable(StoreFiles files, Garbage garbage) {
    this.files = files;
    this.garbage = garbage;
  }

  void add(UUID layer) {
    usable.add(layer);
  }

  boolean has(UUID layer) {
    return usable.contains(layer);
  }

  /** Why the checksums of an open layer cannot be read, though they are there. */
  @Nullable IOException damage(UUID layer) {
    return damage.get(layer);
  }

  /** Without the lock: takes as long as the layer is large. */
  static LayerOpening.Extra<LayerSums> read(StoreFiles files, Layer layer) {
    try {
      return new LayerOpening.Extra<>(LayerSums.open(files, layer), null);
    } catch (IOException e) {
      return new LayerOpening.Extra<>(null, e);
    }
  }

  /** Gives the layer its checksums, as they were read. */
  void opened(Layer layer, LayerOpening.Extra<LayerSums> read) {
    if (read.file() != null) {
      layer.setSums(read.file());
      damage.remove(layer.id);
      LiveSums before = layer.live();
      layer.setLive(null);
      if (before != null) {
        before.retire();
      }
    }
    if (read.damage() != null) {
      // The data is readable without them. The next maintenance computes them anew; until then a
      // scrub names them.
      LOG.log(Level.ERROR, "layer " + layer.id + " is read without checks", read.damage());
      usable.remove(layer.id);
      damage.put(layer.id, read.damage());
    }
  }

  /** Before a merge changes the open layer, which is frozen. */
  void removeAll(Layer layer) throws IOException {
    LiveSums live = layer.live();
    if (live != null) {
      live.discard();
    } else {
      // Left when those of the frozen layer were published.
      files.delete(StoreLayout.live(layer.id));
    }
    remove(layer);
  }

  /** Before a merge changes the open layer, to which a disk may write. */
  void remove(Layer layer) throws IOException {
    // Also when none are known: publishing them may have failed after they had got their name, and
    // the next start would take them for those of the changed layer.
    garbage.discard(StoreLayout.sums(layer.id));
    files.syncDirectory(StoreLayout.LAYERS);
    forget(layer.id);
    LayerSums sums = layer.sums();
    layer.setSums(null);
    if (sums != null) {
      retired.add(sums);
    }
  }

  /** The layer is gone. */
  void forget(UUID layer) {
    usable.remove(layer);
    damage.remove(layer);
  }

  @Override
  public void close() throws IOException {
    List<LayerSums> closing = List.copyOf(retired);
    retired.clear();
    StoreFile.closeAll(closing);
  }
}
