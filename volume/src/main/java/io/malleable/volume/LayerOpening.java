package io.malleable.volume;

import java.io.Closeable;
import java.io.IOException;
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

  Opened read(StoreFiles files) throws IOException {
    UUID id = node.id;
    BlockMap map = new BlockMap();
    MapLog log = MapLog.open(files, id, map);
    StoreFile data;
    try {
      data = files.open(StoreLayout.data(id));
    } catch (IOException e) {
      StoreLayout.closeQuietly(log, e);
      throw e;
    }
    Layer layer = new Layer(id, map, data, log, below);
    try {
      MapTail.open(files, id).ifPresent(left -> LayerFlusher.ofDeadProcess(layer, files, left));
    } catch (IOException e) {
      StoreLayout.closeQuietly(layer::close, e);
      throw e;
    }
    return new Opened(
        layer,
        sums ? SumsTable.read(files, layer) : Extra.none(),
        pack ? PackTable.read(files, id) : Extra.none());
  }
}
