package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What a layer says about each of its blocks. Changes are serialised by this object's monitor;
 * readers need none and see, for each block, the state before or after a concurrent change.
 *
 * <p>Blocks are kept in pages of 4,096, each in the cheapest of four forms ({@link BlockPage}), so
 * that a disk written here and there costs bytes per block written, a full one bytes per page, and
 * no disk more than two bits per block. A frozen layer's map is made {@linkplain #compact compact},
 * in which a page costs nothing of its own.
 */
final class BlockMap {
  static final int BLOCK_SHIFT = 12;
  static final int BLOCK_BYTES = 1 << BLOCK_SHIFT;

  /** The layer says nothing: look further down. */
  static final int ABSENT = 0;

  /** The layer's data file holds the block. */
  static final int DATA = 1;

  /** The block is zero, whatever lies below. */
  static final int ZERO = 2;

  /**
   * {@link #DATA} that was read and is as its checksum says; within the map only. Has the bit of
   * DATA, so that a block becomes it by setting one bit.
   */
  static final int CHECKED = 3;

  static final int PAGE_SHIFT = BlockPage.SHIFT;
  static final int PAGE_BLOCKS = BlockPage.BLOCKS;

  private static final int PAGE_MASK = PAGE_BLOCKS - 1;
  private static final int CHUNK_MASK = BlockChunk.BLOCKS - 1;

  // Chunks and pages are replaced, never taken back; plain element writes are published by the
  // gate that every reader and writer of a volume passes (ActiveVolume), and an old page is a
  // correct answer for a reader that runs at the same time.
  private volatile @Nullable BlockChunk[] chunks = new BlockChunk[0];

  private final MapMemory memory;

  /** What the pages take. Guarded by the monitor. */
  private long heapBytes;

  /** Whose memory nobody counts. */
  BlockMap() {
    this(MapMemory.unlimited());
  }

  BlockMap(MapMemory memory) {
    this.memory = memory;
  }

  /** What the pages take of the heap, or took before they were made compact. */
  synchronized long heapBytes() {
    return heapBytes;
  }

  /** See {@link MapMemory#requireRoom(BlockMap, UUID)}. */
  void requireRoom(UUID disk) throws VolumeException {
    memory.requireRoom(this, disk);
  }

  private void grow(long bytes) {
    heapBytes += bytes;
    memory.add(bytes);
  }

  /** Nobody uses it any more. */
  synchronized void release() {
    grow(-heapBytes);
  }

  int stateOf(long block) {
    return data(rawStateOf(block));
  }

  private static int data(int state) {
    return state == CHECKED ? DATA : state;
  }

  /** Whether the block is data and was {@linkplain #check checked}. */
  boolean checked(long block) {
    return rawStateOf(block) == CHECKED;
  }

  private int rawStateOf(long block) {
    BlockChunk chunk = chunk(block >>> BlockChunk.BLOCKS_SHIFT);
    return chunk == null ? ABSENT : chunk.stateOf((int) block & CHUNK_MASK);
  }

  private @Nullable BlockChunk chunk(long index) {
    @Nullable BlockChunk[] all = chunks;
    return index < all.length ? all[(int) index] : null;
  }

  private @Nullable BlockChunk chunkOfPage(long pageIndex) {
    return chunk(pageIndex >>> BlockChunk.PAGES_SHIFT);
  }

  /** Whether some block of the page is not absent. */
  boolean speaksOf(long pageIndex) {
    BlockChunk chunk = chunkOfPage(pageIndex);
    return chunk != null && chunk.speaksOf((int) pageIndex & (BlockChunk.PAGES - 1));
  }

  /** Whether all blocks of the page are known to be in one state, which may be absent. */
  boolean uniform(long pageIndex) {
    BlockChunk chunk = chunkOfPage(pageIndex);
    return chunk == null || chunk.uniform((int) pageIndex & (BlockChunk.PAGES - 1));
  }

  /** First page index behind which everything is absent. */
  long pageLimit() {
    return (long) chunks.length << BlockChunk.PAGES_SHIFT;
  }

  /**
   * Changes the blocks.
   *
   * @param state not {@link #CHECKED}
   */
  synchronized void set(long firstBlock, long count, int state) {
    long block = firstBlock;
    long end = firstBlock + count;
    while (block < end) {
      int from = (int) block & PAGE_MASK;
      int to = (int) Math.min(PAGE_BLOCKS, from + (end - block));
      long pageIndex = block >>> PAGE_SHIFT;
      if (state != ABSENT || chunkOfPage(pageIndex) != null) {
        int grown =
            changeable(Math.toIntExact(pageIndex >>> BlockChunk.PAGES_SHIFT))
                .set((int) pageIndex & (BlockChunk.PAGES - 1), from, to, state);
        if (grown != 0) {
          grow(grown);
        }
      } else if (pageIndex >= pageLimit()) {
        return;
      }
      block += to - from;
    }
  }

  /** Sets the states of a page that says nothing yet, as {@link BlockPage#ofPairs} takes them. */
  synchronized void setPage(long pageIndex, long[] words) {
    int grown =
        changeable(Math.toIntExact(pageIndex >>> BlockChunk.PAGES_SHIFT))
            .replace((int) pageIndex & (BlockChunk.PAGES - 1), BlockPage.ofPairs(words));
    grow(grown);
  }

  private BlockChunk.Pages changeable(int index) {
    if (index >= chunks.length) {
      chunks = Arrays.copyOf(chunks, index + 1);
    }
    @Nullable BlockChunk[] all = chunks;
    BlockChunk.Pages next =
        switch (all[index]) {
          case BlockChunk.Pages pages -> pages;
          case BlockChunk.Compact compact -> compact.expanded();
          case null -> new BlockChunk.Pages();
        };
    if (next != all[index]) {
      VarHandle.releaseFence();
      all[index] = next;
    }
    return next;
  }

  /** Remembers, if the block is data, that it was read and is as its checksum says. */
  synchronized void check(long block) {
    BlockChunk chunk = chunk(block >>> BlockChunk.BLOCKS_SHIFT);
    int index = (int) block & CHUNK_MASK;
    if (chunk != null && chunk.stateOf(index) == DATA) {
      chunk.check(index);
    }
  }

  /** Whether some block of the page is data. */
  boolean hasData(long pageIndex) {
    long first = pageIndex << PAGE_SHIFT;
    return hasData(first, first + PAGE_BLOCKS);
  }

  boolean hasData(long firstBlock, long endBlock) {
    boolean[] found = new boolean[1];
    forEachRun(firstBlock, endBlock, (first, count, state) -> found[0] |= state == DATA);
    return found[0];
  }

  /** Forgets which of the page's blocks were checked. */
  synchronized void uncheck(long pageIndex) {
    long first = pageIndex << PAGE_SHIFT;
    forEachRun(
        first,
        first + PAGE_BLOCKS,
        (from, count, state) -> {
          if (state == DATA) {
            set(from, count, DATA);
          }
        });
  }

  /**
   * Says the same in less memory. For a map that is not going to change; if it does all the same,
   * the parts that do are expanded again.
   */
  void compact() {
    for (int i = 0; i < chunks.length; i++) {
      compact(i);
    }
  }

  /** A chunk at a time, so that nobody waits for long. */
  private synchronized void compact(int index) {
    @Nullable BlockChunk[] all = chunks;
    if (all[index] instanceof BlockChunk.Pages pages) {
      BlockChunk compact = BlockChunk.Compact.of(pages);
      VarHandle.releaseFence();
      all[index] = compact;
    }
  }

  /** Receives runs of one state. */
  interface RunConsumer {
    void run(long firstBlock, long count, int state);
  }

  /** Every run that is not absent, in ascending order, as long as possible. */
  void forEachRun(RunConsumer consumer) {
    forEachRun(0, pageLimit() << PAGE_SHIFT, consumer);
  }

  /** The runs within a range that are not absent, in ascending order, as long as possible. */
  void forEachRun(long firstBlock, long endBlock, RunConsumer consumer) {
    long runStart = firstBlock;
    int runState = ABSENT;
    long block = firstBlock;
    while (block < endBlock) {
      long chunkIndex = block >>> BlockChunk.BLOCKS_SHIFT;
      BlockChunk chunk = chunk(chunkIndex);
      int run = chunk == null ? BlockChunk.BLOCKS << 2 : chunk.runAt((int) block & CHUNK_MASK);
      int state = data(run & 3);
      if (state != runState) {
        emit(runStart, block, runState, consumer);
        runStart = block;
        runState = state;
      }
      block = Math.min(endBlock, (chunkIndex << BlockChunk.BLOCKS_SHIFT) + (run >>> 2));
    }
    emit(runStart, endBlock, runState, consumer);
  }

  private static void emit(long start, long end, int state, RunConsumer consumer) {
    if (state != ABSENT && end > start) {
      consumer.run(start, end - start, state);
    }
  }

  long dataBlocks() {
    long sum = 0;
    for (BlockChunk chunk : chunks) {
      sum += chunk == null ? 0 : chunk.dataBlocks();
    }
    return sum;
  }
}
