package io.malleable.volume;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What a layer says about each of its blocks. One writer at a time (the caller's lock); readers
 * need none and see, for each block, the state before or after a concurrent change.
 *
 * <p>Blocks are kept in pages of 4,096, each in the cheapest of four forms, so that a disk written
 * here and there costs bytes per block written, a full one bytes per page, and no disk more than
 * two bits per block.
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

  static final int PAGE_SHIFT = 12;
  static final int PAGE_BLOCKS = 1 << PAGE_SHIFT;
  private static final int PAGE_MASK = PAGE_BLOCKS - 1;

  private static final int CHUNK_SHIFT = 8;
  private static final int CHUNK_PAGES = 1 << CHUNK_SHIFT;
  private static final int CHUNK_MASK = CHUNK_PAGES - 1;

  /** Beyond this many entries a bitmap is smaller than a list. */
  private static final int SPARSE_LIMIT = 192;

  // Chunks and pages are replaced, never taken back; plain element writes are published by the
  // gate that every reader and writer of a volume passes (ActiveVolume), and an old page is a
  // correct answer for a reader that runs at the same time.
  private volatile @Nullable Page[] @Nullable [] root = new Page[0][];

  int stateOf(long block) {
    Page page = page(block >>> PAGE_SHIFT);
    return page == null ? ABSENT : page.stateOf((int) block & PAGE_MASK);
  }

  /** The page with this index, or null when all of it is absent. */
  @Nullable Page page(long pageIndex) {
    @Nullable Page[] @Nullable [] chunks = root;
    long chunkIndex = pageIndex >>> CHUNK_SHIFT;
    if (chunkIndex >= chunks.length) {
      return null;
    }
    @Nullable Page[] chunk = chunks[(int) chunkIndex];
    return chunk == null ? null : chunk[(int) pageIndex & CHUNK_MASK];
  }

  /** First page index behind which everything is absent. */
  long pageLimit() {
    return (long) root.length << CHUNK_SHIFT;
  }

  void set(long firstBlock, long count, int state) {
    long block = firstBlock;
    long end = firstBlock + count;
    while (block < end) {
      int from = (int) block & PAGE_MASK;
      int to = (int) Math.min(PAGE_BLOCKS, from + (end - block));
      long pageIndex = block >>> PAGE_SHIFT;
      if (state == ABSENT && pageIndex >= pageLimit()) {
        return;
      }
      setInPage(pageIndex, from, to, state);
      block += to - from;
    }
  }

  private void setInPage(long pageIndex, int from, int to, int state) {
    Page old = page(pageIndex);
    Page next;
    if (from == 0 && to == PAGE_BLOCKS) {
      next = Uniform.of(state);
    } else if (old == null) {
      next = state == ABSENT ? null : new Sparse(new char[0]).with(from, to, state);
    } else {
      next = old.with(from, to, state);
    }
    if (next != old) {
      @Nullable Page[] chunk = chunkFor(pageIndex);
      VarHandle.releaseFence();
      chunk[(int) pageIndex & CHUNK_MASK] = next;
    }
  }

  private @Nullable Page[] chunkFor(long pageIndex) {
    int chunkIndex = Math.toIntExact(pageIndex >>> CHUNK_SHIFT);
    @Nullable Page[] @Nullable [] chunks = root;
    if (chunkIndex >= chunks.length) {
      chunks = Arrays.copyOf(chunks, chunkIndex + 1);
      root = chunks;
    }
    @Nullable Page[] chunk = chunks[chunkIndex];
    if (chunk == null) {
      chunk = new Page[CHUNK_PAGES];
      VarHandle.releaseFence();
      chunks[chunkIndex] = chunk;
    }
    return chunk;
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
      Page page = page(block >>> PAGE_SHIFT);
      long pageEnd = Math.min(endBlock, ((block >>> PAGE_SHIFT) + 1) << PAGE_SHIFT);
      if (page == null || page instanceof Uniform) {
        int state = page == null ? ABSENT : page.stateOf(0);
        if (state != runState) {
          emit(runStart, block, runState, consumer);
          runStart = block;
          runState = state;
        }
        block = pageEnd;
        continue;
      }
      for (; block < pageEnd; block++) {
        int state = page.stateOf((int) block & PAGE_MASK);
        if (state != runState) {
          emit(runStart, block, runState, consumer);
          runStart = block;
          runState = state;
        }
      }
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
    for (@Nullable Page @Nullable [] chunk : root) {
      if (chunk != null) {
        for (Page page : chunk) {
          sum += page == null ? 0 : page.dataBlocks();
        }
      }
    }
    return sum;
  }

  /** 4,096 blocks. */
  abstract static sealed class Page {
    abstract int stateOf(int index);

    /** This page with a range changed: itself, changed in place, or its successor. */
    abstract @Nullable Page with(int from, int to, int state);

    abstract int dataBlocks();

    /** Whether all blocks are known to be in one state. */
    boolean uniform() {
      return false;
    }
  }

  /** All blocks alike. */
  private static final class Uniform extends Page {
    private static final Uniform ALL_DATA = new Uniform(DATA);
    private static final Uniform ALL_ZERO = new Uniform(ZERO);

    private final int state;

    private Uniform(int state) {
      this.state = state;
    }

    static @Nullable Uniform of(int state) {
      return switch (state) {
        case DATA -> ALL_DATA;
        case ZERO -> ALL_ZERO;
        default -> null;
      };
    }

    @Override
    int stateOf(int index) {
      return state;
    }

    @Override
    int dataBlocks() {
      return state == DATA ? PAGE_BLOCKS : 0;
    }

    @Override
    boolean uniform() {
      return true;
    }

    @Override
    @Nullable Page with(int from, int to, int newState) {
      if (newState == state) {
        return this;
      }
      return Pairs.copyOf(this).with(from, to, newState);
    }
  }

  /** A sorted list of {@code index << 2 | state}; immutable. */
  private static final class Sparse extends Page {
    private final char[] entries;

    Sparse(char[] entries) {
      this.entries = entries;
    }

    @Override
    int stateOf(int index) {
      int at = position(index);
      return at < entries.length && entries[at] >>> 2 == index ? entries[at] & 3 : ABSENT;
    }

    @Override
    int dataBlocks() {
      int sum = 0;
      for (char entry : entries) {
        sum += (entry & 3) == DATA ? 1 : 0;
      }
      return sum;
    }

    private int position(int index) {
      int low = 0;
      int high = entries.length;
      while (low < high) {
        int middle = (low + high) >>> 1;
        if (entries[middle] >>> 2 < index) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low;
    }

    @Override
    @Nullable Page with(int from, int to, int state) {
      int before = position(from);
      int behind = position(to);
      int inserted = state == ABSENT ? 0 : to - from;
      int length = before + inserted + entries.length - behind;
      if (length == 0) {
        return null;
      }
      if (length > SPARSE_LIMIT) {
        return denser(state).with(from, to, state);
      }
      char[] next = new char[length];
      System.arraycopy(entries, 0, next, 0, before);
      for (int i = 0; i < inserted; i++) {
        next[before + i] = (char) ((from + i) << 2 | state);
      }
      System.arraycopy(entries, behind, next, before + inserted, entries.length - behind);
      return new Sparse(next);
    }

    private Page denser(int state) {
      boolean zeroes = state == ZERO;
      for (char entry : entries) {
        zeroes |= (entry & 3) == ZERO;
      }
      return zeroes ? Pairs.copyOf(this) : Bits.copyOf(this);
    }
  }

  /** One bit per block: data or absent. Changed in place, one long at a time. */
  private static final class Bits extends Page {
    private final long[] words = new long[PAGE_BLOCKS / Long.SIZE];
    private int dataBlocks;

    static Bits copyOf(Page page) {
      Bits copy = new Bits();
      for (int i = 0; i < PAGE_BLOCKS; i++) {
        if (page.stateOf(i) == DATA) {
          copy.words[i >>> 6] |= 1L << i;
          copy.dataBlocks++;
        }
      }
      return copy;
    }

    @Override
    int stateOf(int index) {
      return (int) (words[index >>> 6] >>> index) & 1;
    }

    @Override
    int dataBlocks() {
      return dataBlocks;
    }

    @Override
    @Nullable Page with(int from, int to, int state) {
      if (state == ZERO) {
        return Pairs.copyOf(this).with(from, to, state);
      }
      for (int i = from; i < to; i++) {
        long word = words[i >>> 6];
        long next = state == DATA ? word | 1L << i : word & ~(1L << i);
        if (next != word) {
          words[i >>> 6] = next;
          dataBlocks += state == DATA ? 1 : -1;
        }
      }
      if (dataBlocks == PAGE_BLOCKS) {
        return Uniform.of(DATA);
      }
      return dataBlocks == 0 ? null : this;
    }
  }

  /** Two bits per block, so that a change of state is one write of one long. */
  private static final class Pairs extends Page {
    private static final int PER_WORD = Long.SIZE / 2;

    private final long[] words = new long[PAGE_BLOCKS / PER_WORD];

    static Pairs copyOf(Page page) {
      Pairs copy = new Pairs();
      for (int i = 0; i < PAGE_BLOCKS; i++) {
        copy.put(i, page.stateOf(i));
      }
      return copy;
    }

    @Override
    int stateOf(int index) {
      return (int) (words[index >>> 5] >>> (index << 1)) & 3;
    }

    @Override
    int dataBlocks() {
      int sum = 0;
      for (long word : words) {
        sum += Long.bitCount(word & ~(word >>> 1) & 0x5555555555555555L);
      }
      return sum;
    }

    private void put(int index, int state) {
      int word = index >>> 5;
      int shift = index << 1;
      words[word] = (words[word] & ~(3L << shift)) | ((long) state << shift);
    }

    @Override
    @Nullable Page with(int from, int to, int state) {
      for (int i = from; i < to; i++) {
        put(i, state);
      }
      // All words alike and of one state: back to the cheap form.
      long pattern = 0x5555555555555555L * state;
      for (long word : words) {
        if (word != pattern) {
          return this;
        }
      }
      return Uniform.of(state);
    }
  }
}
