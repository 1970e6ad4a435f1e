package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A layer that is to be open, by the thread that has marked it as opening. What its files say is
 * read here, in any time it takes, without the catalogue's lock: what it stands on is open and
 * stays as it is, and so do its files.
 *
 * @param sums whether it has checksums
 * @param pack whether it has a pack
 */
record LayerOpening(LayerNode node, @Nullable Layer below, boolean sums, boolean pack) {

  /**
   * A file that the layer can be read without.
   *
   * @param damage why it is absent, though it is there
   */
  record Extra<T extends Closeable>(@Nullable T file, @Nullable IOException damage) {
    static <T extends Closeable> Extra<T> none() {
      return new Extra<>(null, null);
    }
  }

  /** What was read; the layer has neither sums nor pack yet, which may be gone meanwhile. */
  record Opened(Layer layer, Extra<LayerSums> sums, Extra<Pack> pack) {}

  /**
   * The layer as its files, and a process that died while it wrote to it, have left it.
   *
   * @throws VolumeException {@code CORRUPT} when something is missing, {@code TOO_FRAGMENTED} when
   *     there is no memory for its map
   */
  Opened read(StoreFiles files, MapMemory memory) throws IOException {
    Layer layer = open(files, memory);
    Extra<LayerSums> known = Extra.none();
    try {
      memory.requireRoom("layer " + node.id + " cannot be used");
      Optional<MapTail.Left> left = MapTail.open(files, node.id);
      if (left.isPresent()) {
        LayerFlusher.ofDeadProcess(layer, files, left.get());
      }
      MapTail.requireWhole(files, layer.log);
      if (sums) {
        known = SumsTable.read(files, layer);
        requireSameBlocks(layer, known.file());
      } else {
        layer.setLive(LiveSums.open(files, layer));
      }
    } catch (IOException e) {
      if (known.file() != null) {
        StoreLayout.closeQuietly(known.file(), e);
      }
      StoreLayout.closeQuietly(layer::close, e);
      throw e;
    }
    return new Opened(layer, known, pack ? PackTable.read(files, node.id) : Extra.none());
  }

  private Layer open(StoreFiles files, MapMemory memory) throws IOException {
    BlockMap map = new BlockMap(memory);
    try {
      MapLog log = MapLog.open(files, node.id, map);
      try {
        return new Layer(node.id, map, files.open(StoreLayout.data(node.id)), log, below);
      } catch (IOException e) {
        StoreLayout.closeQuietly(log, e);
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      map.release();
      throw e;
    }
  }

  /** Of a map of an earlier version only its checksums know whether its end was cut off. */
  private static void requireSameBlocks(Layer layer, @Nullable LayerSums known) throws IOException {
    if (known != null && layer.log.version() < MapLog.VERSION) {
      known.requireSameBlocks();
    }
  }

  /** A missing data file is found at the first read otherwise, of an empty layer never. */
  static void requireData(StoreFiles files, UUID id) throws IOException {
    String name = StoreLayout.data(id);
    if (!files.exists(name)) {
      throw new VolumeException(Reason.CORRUPT, name + " is missing");
    }
  }
}
