package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Writes to one layer. Called from many threads.
 *
 * <p>Overwriting blocks that the layer has takes no lock. Everything that changes the map (first
 * writes, zeroes) is serialised by one lock per layer, and each block is written completely before
 * the map in memory says that it is here. The map on disk follows at {@link #flush}: first the data
 * file is synced, then the new runs are appended to the map's log and synced; so after a crash a
 * block whose run was not appended is simply not here, whatever bytes lie at its place.
 *
 * <p>A merge that takes blocks over into a frozen layer does it the other way round: volumes read
 * from that layer that are not told when the merge fails, and the blocks still lie in the layer
 * below. So there the map in memory follows the one on disk. One that takes them over into the
 * layer of a disk therefore ends when a snapshot freezes that: see {@link Gate}.
 */
final class LayerWriter {
  private static final Logger LOG = System.getLogger(LayerWriter.class.getName());
  private static final int BLOCK_BYTES = BlockMap.BLOCK_BYTES;
  private static final int BLOCK_MASK = BLOCK_BYTES - 1;

  private static final int ABSORB_BLOCKS = 64;

  private final Layer layer;
  private final SpaceGuard space;
  private final Owner owner;

  private final LayerFlusher flusher;

  /** Absent for a merge, whose layer has no checksums. */
  private final @Nullable LiveSums live;

  /** Guards every change of the map; the flusher takes it to collect what is new. */
  private final ReentrantLock allocation;

  // Guarded by allocation.
  private final ByteBuffer scratch = ByteBuffer.allocateDirect(BLOCK_BYTES);
  private boolean punchFailed;

  /** Taken over by a frozen layer, and not yet durable. */
  private RunList absorbed = new RunList();

  /** Nothing lies below: what is absent is zero. Written under allocation. */
  private volatile boolean grounded;

  /** Somebody has written since {@link #takeTouched}. */
  private volatile boolean touched;

  /** Who writes to the layer. */
  enum Owner {
    /** A disk, which is told of every error. */
    DISK,

    /** A merge of a frozen layer, which any number of volumes read from meanwhile. */
    MERGE
  }

  /** A part of what is merged, after which others may have their turn. */
  interface Step {
    void run() throws IOException;
  }

  /**
   * Whether the writer still writes for its owner. What a step marks before a snapshot closes the
   * gate is flushed with the rest of what it freezes; the owner is told if that fails.
   */
  interface Gate {
    /** False, and nothing done, when the layer was frozen. */
    boolean pass(Step step) throws IOException;
  }

  private LayerWriter(Layer layer, SpaceGuard space, Owner owner, LayerFlusher flusher) {
    this.layer = layer;
    this.space = space;
    this.owner = owner;
    this.flusher = flusher;
    this.live = owner == Owner.DISK ? layer.live() : null;
    this.allocation = flusher.allocation();
  }

  /** For the disk whose layer it is. Goes on with what a process that died has left. */
  static LayerWriter ofDisk(UUID disk, Layer layer, StoreFiles files, SpaceGuard space)
      throws IOException {
    if (layer.live() == null) {
      throw new IllegalStateException("layer " + layer.id + " is frozen");
    }
    LayerFlusher left = layer.flusher();
    LayerFlusher flusher = left == null ? LayerFlusher.ofDisk(disk, layer, files) : left;
    flusher.takeOver();
    return new LayerWriter(layer, space, Owner.DISK, flusher);
  }

  /** For a merge that changes a frozen layer. */
  static LayerWriter ofMerge(Layer layer, StoreFiles files, SpaceGuard space) {
    return new LayerWriter(layer, space, Owner.MERGE, LayerFlusher.ofMerge(layer, files));
  }

  /** Makes durable what this writes, and says so on disk. */
  LayerFlusher flusher() {
    return flusher;
  }

  /** Whether somebody has written since the last call. */
  boolean takeTouched() {
    boolean taken = touched;
    touched = false;
    return taken;
  }

  /** Before each change: on disk the layer is marked as one that may have what is not durable. */
  private void begin() throws IOException {
    layer.refuseAfterFailure();
    flusher.mark();
    if (!touched) {
      touched = true;
    }
  }

  /** Before data changes; with the volume's gate held, and not with the allocation lock. */
  private void beforeData(long firstBlock, long endBlock) throws IOException {
    if (live != null) {
      live.beforeWrite(firstBlock, endBlock);
    }
  }

  /**
   * Makes durable what was written before the call. Callers that come while a flush is under way
   * share the next one.
   */
  void flush() throws IOException {
    flusher.flush();
  }

  /** See {@link LayerFlusher#rewriteMap}. */
  void rewriteMap(Optional<UUID> parent) throws IOException {
    flusher.rewriteMap(parent);
    if (parent.isEmpty()) {
      allocation.lock();
      try {
        grounded = true;
      } finally {
        allocation.unlock();
      }
    }
  }

  Layer layer() {
    return layer;
  }

  /**
   * Writes.
   *
   * @return whether so much waits for a flush that the caller should do one now
   */
  boolean write(long offsetBytes, ByteBuffer source, Chain chain) throws IOException {
    begin();
    long firstBlock = offsetBytes >>> BlockMap.BLOCK_SHIFT;
    long lastBlock = (offsetBytes + source.remaining() - 1) >>> BlockMap.BLOCK_SHIFT;
    beforeData(firstBlock, lastBlock + 1);
    if (allHere(firstBlock, lastBlock)) {
      writeData(offsetBytes, source);
      return false;
    }
    int limit = source.limit();
    allocation.lock();
    try {
      writeAllocating(offsetBytes, source, chain);
      return flusher.due();
    } catch (IOException e) {
      throw LayerFlusher.outOfSpaceOr(e);
    } finally {
      source.limit(limit);
      allocation.unlock();
    }
  }

  private boolean allHere(long firstBlock, long lastBlock) {
    for (long block = firstBlock; block <= lastBlock; block++) {
      if (layer.map.stateOf(block) != BlockMap.DATA) {
        return false;
      }
    }
    return true;
  }

  private void writeAllocating(long offsetBytes, ByteBuffer source, Chain chain)
      throws IOException {
    long position = offsetBytes;
    long end = offsetBytes + source.remaining();
    while (position < end) {
      long runEnd = position;
      long missing = 0;
      while (runEnd < end) {
        boolean here = layer.map.stateOf(runEnd >>> BlockMap.BLOCK_SHIFT) == BlockMap.DATA;
        boolean whole = (runEnd & BLOCK_MASK) == 0 && end - runEnd >= BLOCK_BYTES;
        if (!here && !whole) {
          break;
        }
        missing += here ? 0 : 1;
        runEnd = Math.min(end, (runEnd | BLOCK_MASK) + 1);
      }
      if (runEnd == position) {
        runEnd = Math.min(end, (position | BLOCK_MASK) + 1);
        source.limit(source.position() + (int) (runEnd - position));
        writePart(position, source, chain);
      } else {
        space.claim(missing * (BLOCK_BYTES + MapLog.RUN_BYTES));
        source.limit(source.position() + (int) (runEnd - position));
        writeData(position, source);
        if (missing > 0) {
          long first = position >>> BlockMap.BLOCK_SHIFT;
          mark(first, ((runEnd - 1) >>> BlockMap.BLOCK_SHIFT) - first + 1, BlockMap.DATA);
        }
      }
      source.limit(source.position() + (int) (end - runEnd));
      position = runEnd;
    }
  }

  /** Writes less than a block where the layer has none yet: the rest comes from below. */
  private void writePart(long position, ByteBuffer source, Chain chain) throws IOException {
    long block = position >>> BlockMap.BLOCK_SHIFT;
    space.claim(BLOCK_BYTES + MapLog.RUN_BYTES);
    scratch.clear();
    chain.read(block << BlockMap.BLOCK_SHIFT, scratch);
    scratch.position((int) (position & BLOCK_MASK)).put(source).rewind();
    writeData(block << BlockMap.BLOCK_SHIFT, scratch);
    mark(block, 1, BlockMap.DATA);
  }

  private void mark(long firstBlock, long count, int state) throws IOException {
    if (owner == Owner.DISK && ((firstBlock | count) & (BlockMap.PAGE_BLOCKS - 1)) != 0) {
      flusher.requireMapRoom();
    }
    flusher.mapChanges(firstBlock, count, state);
    layer.map.set(firstBlock, count, state);
  }

  /**
   * The range reads as zeroes; whole blocks give their space back.
   *
   * @return as {@link #write}
   */
  boolean zero(long offsetBytes, long lengthBytes, Chain chain) throws IOException {
    begin();
    long end = offsetBytes + lengthBytes;
    long firstWhole = (offsetBytes + BLOCK_MASK) >>> BlockMap.BLOCK_SHIFT;
    // The last block of a volume that is no multiple of the block size counts as whole.
    long endWhole = (end == chain.sizeBytes() ? end + BLOCK_MASK : end) >>> BlockMap.BLOCK_SHIFT;
    if (live != null) {
      live.beforeZeroing(offsetBytes, end, firstWhole, endWhole);
    }
    allocation.lock();
    try {
      if (firstWhole > endWhole) {
        zeroPart(offsetBytes, end, chain);
        return false;
      }
      zeroPart(offsetBytes, Math.min(end, firstWhole << BlockMap.BLOCK_SHIFT), chain);
      zeroBlocks(firstWhole, endWhole, chain);
      zeroPart(Math.max(offsetBytes, endWhole << BlockMap.BLOCK_SHIFT), end, chain);
      return flusher.due();
    } catch (IOException e) {
      throw LayerFlusher.outOfSpaceOr(e);
    } finally {
      allocation.unlock();
    }
  }

  private void zeroPart(long from, long to, Chain chain) throws IOException {
    if (from >= to) {
      return;
    }
    long block = from >>> BlockMap.BLOCK_SHIFT;
    BlockSource source = chain.sourceOf(block);
    if (source == null) {
      return;
    }
    ByteBuffer zeroes = Chain.ZEROES.duplicate().limit((int) (to - from));
    if (source == layer) {
      writeData(from, zeroes);
    } else {
      writePart(from, zeroes, chain);
    }
  }

  private void zeroBlocks(long firstBlock, long endBlock, Chain chain) throws IOException {
    if (firstBlock >= endBlock) {
      return;
    }
    boolean[] stored = new boolean[1];
    layer.map.forEachRun(
        firstBlock, endBlock, (first, count, state) -> stored[0] |= state == BlockMap.DATA);
    boolean onGround = chain.below() == null;
    if (!stored[0] && !onGround) {
      // What gives space back may take a little; what only hides what lies below grows the map.
      space.claim(MapLog.RUN_BYTES);
    }
    if (stored[0] || !onGround) {
      mark(firstBlock, endBlock - firstBlock, onGround ? BlockMap.ABSENT : BlockMap.ZERO);
    }
    if (stored[0]) {
      punch(firstBlock, endBlock);
    }
  }

  /** What arrived of a write that failed is there as well, and is to be synced. */
  private void writeData(long positionBytes, ByteBuffer source) throws IOException {
    try {
      layer.data.write(positionBytes, source);
    } finally {
      flusher.dataWritten();
    }
  }

  private void punch(long firstBlock, long endBlock) {
    try {
      layer.data.punchHole(
          firstBlock << BlockMap.BLOCK_SHIFT, (endBlock - firstBlock) << BlockMap.BLOCK_SHIFT);
      flusher.dataWritten();
    } catch (IOException e) {
      // The blocks read as zeroes all the same; only their space is not given back.
      if (!punchFailed) {
        LOG.log(Level.WARNING, "cannot free discarded space of " + StoreLayout.data(layer.id), e);
        punchFailed = true;
      }
    }
  }

  /** Copies blocks that come from below into the layer, unless somebody writes them first. */
  void copyUp(long firstBlock, ByteBuffer buffer, Chain chain) throws IOException {
    begin();
    long end = firstBlock + (buffer.capacity() >>> BlockMap.BLOCK_SHIFT);
    beforeData(firstBlock, end);
    allocation.lock();
    try {
      long block = firstBlock;
      while (block < end) {
        long first = block;
        while (block < end && inherited(block, chain)) {
          block++;
        }
        if (block > first) {
          int length = (int) ((block - first) << BlockMap.BLOCK_SHIFT);
          space.claim(length);
          buffer.clear().limit(length);
          chain.read(first << BlockMap.BLOCK_SHIFT, buffer);
          writeData(first << BlockMap.BLOCK_SHIFT, buffer.flip());
          mark(first, block - first, BlockMap.DATA);
        } else {
          block++;
        }
      }
    } catch (IOException e) {
      throw LayerFlusher.outOfSpaceOr(e);
    } finally {
      allocation.unlock();
    }
  }

  /**
   * Takes over what the layer just below says and this one does not, so that the one below is not
   * needed any more.
   *
   * @return whether it was done; not when asked to stop, when a snapshot has frozen the layer of a
   *     disk, or when the layer needs nothing below
   */
  boolean absorb(Layer below, BooleanSupplier stop, Gate gate) throws IOException {
    RunList runs = new RunList();
    below.map.forEachRun(runs::add);
    ByteBuffer buffer = ByteBuffer.allocateDirect(ABSORB_BLOCKS << BlockMap.BLOCK_SHIFT);
    for (int i = 0; i < runs.size(); i++) {
      long run = runs.run(i);
      long end = RunList.firstBlock(run) + RunList.count(run);
      for (long block = RunList.firstBlock(run); block < end; block += ABSORB_BLOCKS) {
        if (stop.getAsBoolean() || grounded) {
          flushAbsorbed();
          return false;
        }
        long first = block;
        if (!gate.pass(() -> absorb(below, first, Math.min(end, first + ABSORB_BLOCKS), buffer))) {
          return false;
        }
        if (flushDue()) {
          flushAbsorbed();
        }
      }
    }
    flushAbsorbed();
    return true;
  }

  private boolean flushDue() {
    allocation.lock();
    try {
      return flusher.due();
    } finally {
      allocation.unlock();
    }
  }

  private void flushAbsorbed() throws IOException {
    flush();
    allocation.lock();
    try {
      for (int i = 0; i < absorbed.size(); i++) {
        long run = absorbed.run(i);
        layer.map.set(RunList.firstBlock(run), RunList.count(run), RunList.state(run));
      }
      absorbed = new RunList();
    } finally {
      allocation.unlock();
    }
  }

  /** As above, for blocks of one state. */
  private void absorb(Layer below, long firstBlock, long endBlock, ByteBuffer buffer)
      throws IOException {
    int state = below.map.stateOf(firstBlock);
    if (state == BlockMap.DATA) {
      beforeData(firstBlock, endBlock);
    }
    allocation.lock();
    try {
      begin();
      // What was discarded after the layer was put on the ground must not come back.
      long block = grounded ? endBlock : firstBlock;
      while (block < endBlock) {
        long first = block;
        while (block < endBlock && layer.map.stateOf(block) == BlockMap.ABSENT) {
          block++;
        }
        if (block == first) {
          block++;
          continue;
        }
        if (state == BlockMap.DATA) {
          int length = (int) ((block - first) << BlockMap.BLOCK_SHIFT);
          space.claim(length);
          below.read(first << BlockMap.BLOCK_SHIFT, buffer.clear().limit(length));
          writeData(first << BlockMap.BLOCK_SHIFT, buffer.flip());
        }
        markAbsorbed(first, block - first, state);
      }
    } catch (IOException e) {
      throw LayerFlusher.outOfSpaceOr(e);
    } finally {
      allocation.unlock();
    }
  }

  /**
   * What a disk takes over it may overwrite at once. Others go on reading from the layer below
   * until it is durable here: they are not told when it fails.
   */
  private void markAbsorbed(long firstBlock, long count, int state) throws IOException {
    if (owner == Owner.DISK) {
      mark(firstBlock, count, state);
    } else {
      flusher.mapChanges(firstBlock, count, state);
      absorbed.add(firstBlock, count, state);
    }
  }

  /** Frees what the layer just above, the only one above, has durably and so hides for good. */
  void forget(RunList hidden) throws IOException {
    for (int i = 0; i < hidden.size(); i++) {
      long first = RunList.firstBlock(hidden.run(i));
      long end = first + RunList.count(hidden.run(i));
      allocation.lock();
      try {
        layer.refuseAfterFailure();
        mark(first, end - first, BlockMap.ABSENT);
        punch(first, end);
      } finally {
        allocation.unlock();
      }
    }
    flush();
  }

  private boolean inherited(long block, Chain chain) {
    BlockSource source = chain.sourceOf(block);
    return source != null && source != layer;
  }
}
