package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.posix.Posix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes a layer durable: its data first, then what is new in its map. Flushes of many threads are
 * done one at a time, each for all who waited.
 */
final class LayerFlusher {
  /** A guest that never flushes shall not make us remember more than this. */
  private static final int MAX_PENDING_RUNS = MapLog.MAX_BATCH_RUNS / 2;

  /** Written back at a time. */
  private static final int RENEWED_BLOCKS = 256;

  private final Layer layer;
  private final StoreFiles files;

  /** Absent for a merge: what that takes over still lies in the layer below. */
  private final @Nullable MapTail tail;

  private final ReentrantLock allocation = new ReentrantLock();
  // Guarded by allocation.
  private RunList pending;

  private final ReentrantLock flushing = new ReentrantLock();
  private final AtomicLong flushesStarted = new AtomicLong();
  // Guarded by flushing.
  private long flushesDone;
  private Optional<UUID> parentOnDisk;

  /** The data file has bytes that were never synced. */
  private final AtomicBoolean dirty = new AtomicBoolean();

  /** Of a process that died, and nobody writes to the layer now. */
  private volatile boolean left;

  private LayerFlusher(Layer layer, StoreFiles files, @Nullable MapTail tail, RunList pending) {
    this.layer = layer;
    this.files = files;
    this.tail = tail;
    this.pending = pending;
    this.parentOnDisk = Optional.ofNullable(layer.parent()).map(parent -> parent.id);
    layer.setFlusher(this);
  }

  static LayerFlusher ofDisk(UUID disk, Layer layer, StoreFiles files) throws IOException {
    MapTail tail = new MapTail(files, layer.id, disk);
    tail.startsWith(layer.log);
    return new LayerFlusher(layer, files, tail, new RunList());
  }

  static LayerFlusher ofMerge(Layer layer, StoreFiles files) {
    return new LayerFlusher(layer, files, null, new RunList());
  }

  /**
   * Goes on where a process that died has left the layer; what its map on disk lacks is in memory
   * when this returns.
   */
  static void ofDeadProcess(Layer layer, StoreFiles files, MapTail.Left left)
      throws VolumeException {
    if (!left.agreesWith(layer.log)) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s is cut off at byte %d: there were more batches when the server wrote to it last"
              .formatted(StoreLayout.map(layer.id), layer.log.bytes()));
    }
    RunList runs = left.runs();
    for (int i = 0; i < runs.size(); i++) {
      long run = runs.run(i);
      layer.map.set(RunList.firstBlock(run), RunList.count(run), RunList.state(run));
    }
    LayerFlusher flusher = new LayerFlusher(layer, files, left.tail(), runs);
    left.tail().startsWith(layer.log);
    flusher.left = true;
    flusher.dirty.set(left.header().inUse());
    if (left.header().failed()) {
      layer.fail(new IOException("a sync failed before the server was started again"));
    }
  }

  /** Under which the map changes. */
  ReentrantLock allocation() {
    return allocation;
  }

  /** Whether a process that died has left it, and nobody writes to the layer now. */
  boolean isLeft() {
    return left;
  }

  /** A writer goes on with the layer. */
  void takeOver() {
    left = false;
  }

  /** Before a change, see {@link MapTail#mark}. */
  void mark() throws IOException {
    if (tail != null && !tail.marked()) {
      try {
        tail.mark();
      } catch (IOException e) {
        throw outOfSpaceOr(e);
      }
    }
  }

  /** See {@link MapTail#announce}. */
  void announce() throws IOException {
    if (tail != null) {
      tail.announce();
    }
  }

  /** Bytes have arrived in the data file. */
  void dataWritten() {
    dirty.set(true);
  }

  /**
   * Under the allocation lock, after the blocks' data was written and before the map in memory says
   * so: what is acknowledged after it outlives the process.
   */
  void mapChanges(long firstBlock, long count, int state) throws IOException {
    if (tail != null) {
      tail.append(firstBlock, count, state);
    }
    pending.add(firstBlock, count, state);
  }

  /** Before a change that may make the map larger; those of whole pages do not. */
  void requireMapRoom() throws VolumeException {
    if (tail != null) {
      layer.map.requireRoom(tail.disk());
    }
  }

  /** Under the allocation lock: whether so much has changed that it is time for a flush. */
  boolean due() {
    return pending.size() > MAX_PENDING_RUNS || (tail != null && tail.due());
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
      flushNow();
      flushesDone = mine;
    } finally {
      flushing.unlock();
    }
  }

  /**
   * What waits to be durable.
   *
   * @param before the tail's runs before this one
   */
  private record Taken(RunList runs, long before) {}

  private void flushNow() throws IOException {
    Taken batch = take();
    if (!dirty.getAndSet(false) && batch.runs.size() == 0) {
      return;
    }
    // The log of a frozen layer is only ever replaced, so that it always ends with a seal.
    if (batch.runs.size() > 0 && (tail == null || layer.log.isOutdated())) {
      rewriteMap(parentOnDisk, batch);
      return;
    }
    try {
      syncData();
      if (batch.runs.size() > 0) {
        layer.log.append(batch.runs);
      }
      durable(batch);
    } catch (IOException e) {
      giveBack(batch);
      throw ended(e);
    }
  }

  private void syncData() throws SyncFailedException {
    try {
      layer.data.sync();
    } catch (IOException e) {
      throw new SyncFailedException(StoreLayout.data(layer.id), e);
    }
  }

  private Taken take() {
    allocation.lock();
    try {
      Taken taken = new Taken(pending, tail == null ? 0 : tail.take());
      pending = new RunList();
      return taken;
    } finally {
      allocation.unlock();
    }
  }

  private void durable(Taken taken) {
    if (tail != null) {
      tail.durableBefore(taken.before, layer.log);
    }
  }

  /** Not durable after all: the next flush tries again, in the same order. */
  private void giveBack(Taken batch) {
    allocation.lock();
    try {
      RunList later = pending;
      pending = batch.runs;
      pending.addAll(later);
      // Also when the data was synced: the next flush must not pass for one with nothing to do.
      dirty.set(true);
    } finally {
      allocation.unlock();
    }
  }

  /**
   * Replaces the map's log by one without history, in one step; with another parent if need be.
   * Includes a flush. Writers go on meanwhile.
   */
  void rewriteMap(Optional<UUID> parent) throws IOException {
    flushing.lock();
    try {
      layer.refuseAfterFailure();
      Taken taken = take();
      dirty.set(false);
      rewriteMap(parent, taken);
    } finally {
      flushing.unlock();
    }
  }

  private void rewriteMap(Optional<UUID> parent, Taken taken) throws IOException {
    try {
      writeMap(parent, taken);
    } catch (IOException e) {
      giveBack(taken);
      throw ended(e);
    }
    replaceLog(parent, taken);
  }

  /** With nothing left to flush: says in the log that nothing is missing. */
  void seal() throws IOException {
    flushing.lock();
    try {
      if (!clean() || layer.log.sealed()) {
        return;
      }
      if (layer.log.isOutdated()) {
        rewriteMap(parentOnDisk);
        return;
      }
      layer.log.seal();
    } catch (IOException e) {
      throw ended(e);
    } finally {
      flushing.unlock();
    }
  }

  /** Only what a sync that failed has left is not known; anything else can be tried again. */
  private IOException ended(IOException e) {
    return e instanceof SyncFailedException ? failed(e) : outOfSpaceOr(e);
  }

  /**
   * The map in memory changes while it is written: each block gets its state of before or after,
   * and is named in a later batch if it was after. Its data is synced last, so that it is there for
   * every state that was seen.
   */
  private void writeMap(Optional<UUID> parent, Taken taken) throws IOException {
    // A merge keeps what it takes over out of the map in memory until it is durable; others
    // must not put what they took above what came later.
    RunList besides = tail == null ? taken.runs : new RunList();
    layer.log.writeSuccessor(files, parent, layer.map, besides);
    syncData();
  }

  private void replaceLog(Optional<UUID> parent, Taken taken) throws IOException {
    String name = StoreLayout.map(layer.id);
    try {
      files.rename(name + StoreLayout.TEMPORARY, name);
      files.syncDirectory(StoreLayout.LAYERS);
      MapLog old = layer.log;
      layer.log = MapLog.reopen(files, layer.id);
      old.close();
    } catch (IOException e) {
      // Which of the two a crash would leave is not known.
      giveBack(taken);
      throw failed(e);
    }
    durable(taken);
    parentOnDisk = parent;
  }

  private IOException failed(IOException e) {
    layer.fail(e);
    noteFailure(e);
    return e;
  }

  /** For the process that opens the layer after this one. */
  private void noteFailure(IOException cause) {
    try {
      if (tail != null) {
        tail.noteFailure();
      } else {
        try (MapTail note = new MapTail(files, layer.id, StoreLayout.NOBODY)) {
          note.noteFailure();
        }
      }
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /**
   * After a sync that failed. The kernel forgets what it could not write, and keeps it in memory as
   * if it had: neither checksums nor a copy may be made of what a power cut would take away, and a
   * log must not go on behind it. So everything is written once more. When that fails, or is
   * stopped, the layer can be read only, as before.
   */
  void recover(BooleanSupplier stop) throws IOException {
    flushing.lock();
    try {
      if (layer.failure() == null) {
        return;
      }
      Taken taken = take();
      if (tail == null) {
        // What a merge took over and did not get to be durable still lies below.
        taken.runs.clear();
      }
      dirty.set(false);
      try {
        if (!writeBack(stop)) {
          giveBack(taken);
          return;
        }
        writeMap(parentOnDisk, taken);
      } catch (IOException e) {
        giveBack(taken);
        throw failed(e);
      }
      replaceLog(parentOnDisk, taken);
      forgetFailure();
      layer.recovered();
    } finally {
      flushing.unlock();
    }
  }

  private void forgetFailure() throws IOException {
    if (tail != null && tail.exists()) {
      tail.mark();
    } else {
      files.delete(StoreLayout.tail(layer.id));
    }
  }

  /** Every block, as nobody knows which of them the storage lacks. Nobody writes meanwhile. */
  private boolean writeBack(BooleanSupplier stop) throws IOException {
    long total = Math.max(1, layer.map.dataBlocks());
    long done = 0;
    ByteBuffer buffer = ByteBuffer.allocateDirect(RENEWED_BLOCKS << BlockMap.BLOCK_SHIFT);
    RunList runs = new RunList();
    for (long page = 0; page < layer.map.pageLimit(); page++) {
      if (stop.getAsBoolean()) {
        return false;
      }
      layer.recovering((int) (100 * done / total));
      runs.clear();
      long first = page << BlockMap.PAGE_SHIFT;
      layer.map.forEachRun(first, first + BlockMap.PAGE_BLOCKS, runs::add);
      for (int i = 0; i < runs.size(); i++) {
        if (RunList.state(runs.run(i)) == BlockMap.DATA) {
          writeBack(runs.run(i), buffer);
          done += RunList.count(runs.run(i));
        }
      }
    }
    return true;
  }

  private void writeBack(long run, ByteBuffer buffer) throws IOException {
    long end = RunList.firstBlock(run) + RunList.count(run);
    for (long block = RunList.firstBlock(run); block < end; block += RENEWED_BLOCKS) {
      int count = (int) Math.min(RENEWED_BLOCKS, end - block);
      long position = block << BlockMap.BLOCK_SHIFT;
      layer.data.read(position, buffer.clear().limit(count << BlockMap.BLOCK_SHIFT));
      layer.data.write(position, buffer.flip());
    }
  }

  /**
   * For a layer that nobody writes to: makes durable what a process that died has left.
   *
   * @return whether there was something left
   */
  boolean settle() throws IOException {
    MapTail of = tail;
    if (!left || of == null) {
      return false;
    }
    flush();
    seal();
    of.delete();
    left = false;
    return true;
  }

  /** While nobody writes: takes the mark away if all is durable, and sealed. */
  void unmarkIfDurable() throws IOException {
    MapTail marked = tail;
    if (marked != null && marked.marked() && flushing.tryLock()) {
      try {
        if (clean() && layer.log.sealed()) {
          marked.unmark();
        }
      } finally {
        flushing.unlock();
      }
    }
  }

  private boolean clean() {
    allocation.lock();
    try {
      return pending.size() == 0 && !dirty.get() && layer.failure() == null;
    } finally {
      allocation.unlock();
    }
  }

  /** Nobody writes any more; what is not durable is left to the next who opens the layer. */
  void retire() throws IOException {
    MapTail last = tail;
    if (last == null || !last.exists()) {
      return;
    }
    if (left || !clean()) {
      last.close();
      return;
    }
    try {
      seal();
      last.delete();
    } catch (IOException e) {
      // Its runs are of the past when the layer changes without it: settle tries once more.
      left = true;
      StoreLayout.closeQuietly(last, e);
      throw e;
    }
  }

  static IOException outOfSpaceOr(IOException e) {
    return Posix.outOfSpace(e)
        ? new VolumeException(
            Reason.OUT_OF_SPACE,
            "the file system or the quota of the store is full: " + e.getMessage(),
            e)
        : e;
  }
}
