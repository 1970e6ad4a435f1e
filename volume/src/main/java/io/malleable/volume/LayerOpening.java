package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Opens the files of a layer, and refuses those that lack something. */
final class LayerOpening {
  private LayerOpening() {}

  /**
   * The layer as its files, and a process that died while it wrote to it, have left it.
   *
   * @throws VolumeException {@code CORRUPT} when something is missing, {@code TOO_FRAGMENTED} when
   *     there is no memory for its map
   */
  static Layer open(StoreFiles files, MapMemory memory, UUID id, @Nullable Layer below)
      throws IOException {
    BlockMap map = new BlockMap(memory);
    Layer layer;
    try {
      layer = open(files, id, map, below);
    } catch (IOException | RuntimeException e) {
      map.release();
      throw e;
    }
    try {
      memory.requireRoom("layer " + id + " cannot be used");
      Optional<MapTail.Left> left = MapTail.open(files, id);
      if (left.isPresent()) {
        LayerFlusher.ofDeadProcess(layer, files, left.get());
      }
      MapTail.requireWhole(files, layer.log);
      return layer;
    } catch (IOException e) {
      StoreLayout.closeQuietly(layer::close, e);
      throw e;
    }
  }

  private static Layer open(StoreFiles files, UUID id, BlockMap map, @Nullable Layer below)
      throws IOException {
    MapLog log = MapLog.open(files, id, map);
    try {
      return new Layer(id, map, files.open(StoreLayout.data(id)), log, below);
    } catch (IOException e) {
      StoreLayout.closeQuietly(log, e);
      throw e;
    }
  }

  /**
   * Of a map of an earlier version only its checksums know whether its end was cut off; closes the
   * layer if so.
   */
  static void requireSameBlocks(Layer layer) throws IOException {
    LayerSums known = layer.sums();
    if (known == null || layer.log.version() >= MapLog.VERSION) {
      return;
    }
    try {
      known.requireSameBlocks();
    } catch (IOException e) {
      StoreLayout.closeQuietly(layer::close, e);
      throw e;
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
