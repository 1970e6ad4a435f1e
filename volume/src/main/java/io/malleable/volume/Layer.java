package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One step of a copy-on-write chain, open: a sparse data file (block i at the same offset), what it
 * says about each block, and the layer below. {@link LayerTable} opens, counts and closes them;
 * volumes that share a layer share this object.
 */
final class Layer extends BlockSource {
  final UUID id;
  final BlockMap map;
  final StoreFile data;

  /** Guarded by the lock of the writer that owns the layer. */
  MapLog log;

  /** Why what is in its files is not known any more; set once. */
  private volatile @Nullable IOException failure;

  // Guarded by the catalogue's lock, read by it only.
  private @Nullable Layer parent;
  private @Nullable ChainView view;
  private @Nullable Pack pack;

  /** Absent while the layer can change, and until its checksums are computed. */
  private volatile @Nullable LayerSums sums;

  Layer(UUID id, BlockMap map, StoreFile data, MapLog log, @Nullable Layer parent) {
    this.id = id;
    this.map = map;
    this.data = data;
    this.log = log;
    this.parent = parent;
  }

  /**
   * A sync failed: what a later one would promise is not known, whoever asks for it. Nobody writes
   * to the layer any more until it was closed and opened.
   */
  void fail(IOException cause) {
    failure = cause;
  }

  @Nullable IOException failure() {
    return failure;
  }

  void refuseAfterFailure() throws IOException {
    IOException cause = failure;
    if (cause != null) {
      throw new IOException(
          "layer %s failed and takes no more writes until its volume is opened again: %s"
              .formatted(id, cause.getMessage()),
          cause);
    }
  }

  @Nullable Layer parent() {
    return parent;
  }

  /** A merge took out what lay between. */
  void reparent(@Nullable Layer newParent) {
    parent = newParent;
  }

  /** This layer and everything below it, shared by all who stand on it. */
  ChainView view() {
    ChainView current = view;
    if (current == null) {
      current = new ChainView(this);
      view = current;
    }
    return current;
  }

  void forgetView() {
    view = null;
  }

  void forgetViewOver(Layer layer) {
    if (view != null && view.contains(layer)) {
      view = null;
    }
  }

  /** What this layer and some of those below say, in one file. */
  @Nullable Pack pack() {
    return pack;
  }

  void setPack(@Nullable Pack newPack) {
    pack = newPack;
  }

  @Nullable LayerSums sums() {
    return sums;
  }

  void setSums(@Nullable LayerSums newSums) {
    sums = newSums;
  }

  @Override
  int stateOf(long block) {
    return map.stateOf(block);
  }

  @Override
  boolean speaksOf(long pageIndex) {
    return map.speaksOf(pageIndex);
  }

  @Override
  boolean uniform(long pageIndex) {
    return map.uniform(pageIndex);
  }

  @Override
  void forEachRun(long firstBlock, long endBlock, BlockMap.RunConsumer consumer) {
    map.forEachRun(firstBlock, endBlock, consumer);
  }

  @Override
  void read(long positionBytes, ByteBuffer destination) throws IOException {
    int start = destination.position();
    try {
      data.read(positionBytes, destination);
    } catch (EOFException e) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s has fewer bytes than its map says".formatted(StoreLayout.data(id)),
          e);
    }
    LayerSums expected = sums;
    if (expected != null) {
      expected.check(positionBytes, destination, start);
    }
  }

  void close() throws IOException {
    StoreFile.closeAll(Arrays.asList(log, sums, pack, data));
  }
}
