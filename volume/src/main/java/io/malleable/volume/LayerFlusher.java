package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Makes a layer durable: its data first, then what is new in its map. Flushes of many threads are
 * done one at a time, each for all who waited.
 */
final class LayerFlusher {
  private static final Logger LOG = System.getLogger(LayerFlusher.class.getName());

  /** A guest that never flushes shall not make us remember more than this. */
  private static final int MAX_PENDING_RUNS = MapLog.MAX_BATCH_RUNS / 2;

  private static final long COMPACT_RUNS = 1 << 17;

  /** Written back at a time. */
  private static final int RENEWED_BLOCKS = 256;

  /** The JDK tells the error by its text only, in the language that the process was started in. */
  private static final Set<String> FULL =
      Set.copyOf(
          List.of(
              "No space left on device",
              "Disk quota exceeded",
              Posix.text(Posix.ENOSPC),
              Posix.text(Posix.EDQUOT)));

  private final Layer layer;
  private final StoreFiles files;

  private final ReentrantLock allocation;
  // Guarded by allocation.
  private RunList pending = new RunList();

  private final ReentrantLock flushing = new ReentrantLock();
  private final AtomicLong flushesStarted = new AtomicLong();
  // Guarded by flushing.
  private long flushesDone;
  private long runsAfterCompaction;
  private Optional<UUID> parentOnDisk;

  /** The data file has bytes that were never synced. */
  private final AtomicBoolean dirty = new AtomicBoolean();

  /**
   * For one writer.
   *
   * @param allocation the lock under which the writer changes the layer's map
   */
  LayerFlusher(Layer layer, StoreFiles files, ReentrantLock allocation) {
    this.layer = layer;
    this.files = files;
    this.allocation = allocation;
    this.parentOnDisk = Optional.ofNullable(layer.parent()).map(parent -> parent.id);
  }

  /** Bytes have arrived in the data file. */
  void dataWritten() {
    dirty.set(true);
  }

  /** Under the allocation lock, after the blocks' data was written. */
  void mapChanged(long firstBlock, long count, int state) {
    pending.add(firstBlock, count, state);
  }

  /** Under the allocation lock: whether so much has changed that it is time for a flush. */
  boolean due() {
    return pending.size() > MAX_PENDING_RUNS;
  }

  /**
   * Makes durable what was written before the call. Callers that come while a flush is under way
   * share the next one.
   */
  void flush() throws IOException {
    long needed = flushesStarted.get() + 1;
    flushing.lock();
    try {
      layer.refuseAfterFailure();
      if (flushesDone >= needed) {
        return;
      }
      long mine = flushesStarted.incrementAndGet();
      if (layer.log.runs() > COMPACT_RUNS && layer.log.runs() > 4 * runsAfterCompaction) {
        rewriteMap(parentOnDisk);
      } else {
        flushNow();
      }
      flushesDone = mine;
    } finally {
      flushing.unlock();
    }
  }

  private void flushNow() throws IOException {
    RunList batch = takePending();
    if (!dirty.getAndSet(false) && batch.size() == 0) {
      return;
    }
    try {
      syncData();
      if (batch.size() > 0) {
        layer.log.append(batch);
      }
    } catch (SyncFailedException e) {
      throw failed(e);
    } catch (IOException e) {
      giveBack(batch);
      throw outOfSpaceOr(e);
    }
  }

  private void syncData() throws SyncFailedException {
    try {
      layer.data.sync();
    } catch (IOException e) {
      throw new SyncFailedException(StoreLayout.data(layer.id), e);
    }
  }

  private RunList takePending() {
    allocation.lock();
    try {
      RunList taken = pending;
      pending = new RunList();
      return taken;
    } finally {
      allocation.unlock();
    }
  }

  /** Not durable after all: the next flush tries again, in the same order. */
  private void giveBack(RunList batch) {
    allocation.lock();
    try {
      RunList later = pending;
      pending = batch;
      pending.addAll(later);
    } finally {
      allocation.unlock();
    }
  }

  /**
   * Replaces the map's log by one without history, in one step; with another parent if need be.
   * Includes a flush.
   */
  void rewriteMap(Optional<UUID> parent) throws IOException {
    flushing.lock();
    try {
      layer.refuseAfterFailure();
      RunList all = new RunList();
      RunList taken;
      allocation.lock();
      try {
        layer.map.forEachRun(all::add);
        taken = pending;
        pending = new RunList();
      } finally {
        allocation.unlock();
      }
      // The map in memory need not know them yet.
      all.addAll(taken);
      dirty.set(false);
      try {
        syncData();
        MapLog.writeTemporary(files, layer.id, parent, all);
      } catch (SyncFailedException e) {
        throw failed(e);
      } catch (IOException e) {
        giveBack(taken);
        throw outOfSpaceOr(e);
      }
      replaceLog();
      parentOnDisk = parent;
      runsAfterCompaction = layer.log.runs();
    } finally {
      flushing.unlock();
    }
  }

  /**
   * For a layer that is opened after one of its syncs had failed. The kernel forgets what it could
   * not write, and keeps it in memory as if it had: neither checksums nor a copy may be made of
   * what a power cut would take away, and a log must not go on behind it. So all is written once
   * more. When that fails the layer can be read only.
   */
  static void renew(Layer layer, StoreFiles files) {
    LayerFlusher flusher = new LayerFlusher(layer, files, new ReentrantLock());
    try {
      writeBack(layer);
      flusher.rewriteMap(flusher.parentOnDisk);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "layer " + layer.id + " can be read, not written", e);
      layer.fail(e);
    }
  }

  /** Every block, as nobody knows which of them the storage lacks. */
  private static void writeBack(Layer layer) throws IOException {
    RunList runs = new RunList();
    layer.map.forEachRun(runs::add);
    ByteBuffer buffer = ByteBuffer.allocateDirect(RENEWED_BLOCKS << BlockMap.BLOCK_SHIFT);
    for (int i = 0; i < runs.size(); i++) {
      long run = runs.run(i);
      if (RunList.state(run) != BlockMap.DATA) {
        continue;
      }
      long end = RunList.firstBlock(run) + RunList.count(run);
      for (long block = RunList.firstBlock(run); block < end; block += RENEWED_BLOCKS) {
        int count = (int) Math.min(RENEWED_BLOCKS, end - block);
        long position = block << BlockMap.BLOCK_SHIFT;
        layer.data.read(position, buffer.clear().limit(count << BlockMap.BLOCK_SHIFT));
        layer.data.write(position, buffer.flip());
      }
    }
  }

  private void replaceLog() throws IOException {
    String name = StoreLayout.map(layer.id);
    try {
      files.rename(name + StoreLayout.TEMPORARY, name);
      files.syncDirectory(StoreLayout.LAYERS);
      MapLog old = layer.log;
      layer.log = MapLog.open(files, layer.id, new BlockMap());
      old.close();
    } catch (IOException e) {
      // Which of the two a crash would leave is not known.
      throw failed(e);
    }
  }

  private IOException failed(IOException e) {
    layer.fail(e);
    return e;
  }

  static IOException outOfSpaceOr(IOException e) {
    String message = e.getMessage();
    if (message != null && FULL.stream().anyMatch(message::contains)) {
      return new VolumeException(
          Reason.OUT_OF_SPACE, "the file system or the quota of the store is full: " + message, e);
    }
    return e;
  }
}
