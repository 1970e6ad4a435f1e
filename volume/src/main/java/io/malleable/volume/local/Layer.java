package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Instant;
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

  /** Why it is not known what is in its files. */
  private volatile @Nullable Failure failure;

  /** Who makes it durable: its writer's, or that of a process that died while it wrote. */
  private volatile @Nullable LayerFlusher flusher;

  /** All that was read when it was opened is on disk. */
  private volatile boolean durable;

  // Guarded by the catalogue's lock, read by it only.
  private @Nullable Layer parent;
  private @Nullable ChainView view;
  private @Nullable Pack pack;

  /** Absent while the layer can change, and until its checksums are computed. */
  private volatile @Nullable LayerSums sums;

  /** Until then; of those parts that have not changed for a while. */
  private volatile @Nullable LiveSums live;

  Layer(UUID id, BlockMap map, StoreFile data, MapLog log, @Nullable Layer parent) {
    this.id = id;
    this.map = map;
    this.data = data;
    this.log = log;
    this.parent = parent;
  }

  /**
   * A failure of the storage below a layer.
   *
   * @param recoveredPercent of what is written once more; -1 before that has begun
   */
  record Failure(IOException cause, Instant since, int recoveredPercent) {}

  /**
   * A sync failed: what a later one would promise is not known, whoever asks for it. Nobody writes
   * to the layer any more until {@link LayerFlusher#recover} has written it once more.
   */
  void fail(IOException cause) {
    failure = new Failure(cause, Instant.now(), -1);
  }

  /** While it is written once more. */
  void recovering(int percent) {
    Failure now = failure;
    if (now != null) {
      failure = new Failure(now.cause, now.since, percent);
    }
  }

  void recovered() {
    failure = null;
  }

  @Nullable Failure failure() {
    return failure;
  }

  void refuseAfterFailure() throws IOException {
    Failure now = failure;
    if (now != null) {
      throw new IOException(
          "layer %s failed and takes no writes until it is recovered: %s"
              .formatted(id, now.cause.getMessage()),
          now.cause);
    }
  }

  @Nullable LayerFlusher flusher() {
    return flusher;
  }

  void setFlusher(LayerFlusher newFlusher) {
    flusher = newFlusher;
  }

  /**
   * For a frozen layer, before something is derived from it or it is changed: what a process that
   * died has left in the page cache is made durable.
   */
  void settle() throws IOException {
    refuseAfterFailure();
    LayerFlusher left = flusher;
    if (left != null && left.settle()) {
      durable = true;
    }
    if (!durable) {
      try {
        data.sync();
        log.sync();
      } catch (IOException e) {
        fail(e);
        throw e;
      }
      durable = true;
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

  @Nullable LiveSums live() {
    return live;
  }

  void setLive(@Nullable LiveSums newLive) {
    live = newLive;
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
    LiveSums changing = live;
    if (expected != null) {
      expected.check(positionBytes, destination, start);
    } else if (changing != null) {
      changing.check(positionBytes, destination, start);
    }
  }

  void close() throws IOException {
    LayerFlusher last = flusher;
    try {
      if (last != null) {
        last.retire();
      }
    } finally {
      map.release();
      // The log may be another one now.
      StoreFile.closeAll(Arrays.asList(log, sums, live, pack, data));
    }
  }
}
