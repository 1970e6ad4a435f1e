package io.malleable.volume.local;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which blocks a {@link Pack} answers for, and in which slot the data of each lies: slots are
 * numbered in the order of blocks, so a slot is the number of data blocks before it. Immutable.
 *
 * <p>A page of 4,096 blocks is a list of two bytes per block, or, when it has many, one bit per
 * block with a running count. All of it is limited to 6 MiB, and so are those of one chain
 * together: layers are not packed rather than to need more.
 */
final class PackMap {
  /** Not here: ask what lies below. */
  static final int ABSENT = -1;

  /** Zero, whatever lies below. */
  static final int ZERO = -2;

  private static final int CHUNK_SHIFT = 8;
  private static final int CHUNK_MASK = (1 << CHUNK_SHIFT) - 1;
  private static final int PAGE_MASK = BlockMap.PAGE_BLOCKS - 1;
  private static final int SPARSE_LIMIT = 192;
  static final int MAX_BYTES = 6 << 20;
  private static final int OBJECT_BYTES = 72;

  private final @Nullable Page[] @Nullable [] chunks;
  private final int slots;
  private final long bytes;

  private PackMap(@Nullable Page[] @Nullable [] chunks, int slots, long bytes) {
    this.chunks = chunks;
    this.slots = slots;
    this.bytes = bytes;
  }

  /** The slot of the block's data, or {@link #ABSENT} or {@link #ZERO}. */
  int slotOf(long block) {
    Page page = page(block >>> BlockMap.PAGE_SHIFT);
    return page == null ? ABSENT : page.slotOf((int) block & PAGE_MASK);
  }

  boolean speaksOf(long pageIndex) {
    return page(pageIndex) != null;
  }

  int slots() {
    return slots;
  }

  /** What it takes of the memory. */
  long bytes() {
    return bytes;
  }

  private @Nullable Page page(long pageIndex) {
    long chunkIndex = pageIndex >>> CHUNK_SHIFT;
    if (chunkIndex >= chunks.length) {
      return null;
    }
    @Nullable Page[] chunk = chunks[(int) chunkIndex];
    return chunk == null ? null : chunk[(int) pageIndex & CHUNK_MASK];
  }

  /** From runs in ascending order of blocks, none of them absent; null when it were too large. */
  static @Nullable PackMap of(RunList runs) {
    Builder builder = new Builder();
    for (int i = 0; i < runs.size(); i++) {
      long run = runs.run(i);
      builder.add(RunList.firstBlock(run), RunList.count(run), RunList.state(run));
    }
    return builder.build();
  }

  private static final class Builder {
    private final List<@Nullable Page @Nullable []> chunks = new ArrayList<>();
    private final long[] data = new long[BlockMap.PAGE_BLOCKS / Long.SIZE];
    private final long[] zero = new long[BlockMap.PAGE_BLOCKS / Long.SIZE];
    private long pageIndex = -1;
    private int slots;
    private long bytes;

    void add(long firstBlock, long count, int state) {
      long[] bits = state == BlockMap.DATA ? data : zero;
      long block = firstBlock;
      while (block < firstBlock + count && bytes <= MAX_BYTES) {
        if (block >>> BlockMap.PAGE_SHIFT != pageIndex) {
          endPage();
          pageIndex = block >>> BlockMap.PAGE_SHIFT;
        }
        int from = (int) block & PAGE_MASK;
        int to = (int) Math.min(BlockMap.PAGE_BLOCKS, from + firstBlock + count - block);
        setBits(bits, from, to);
        block += to - from;
      }
    }

    private static void setBits(long[] bits, int from, int to) {
      int at = from;
      while (at < to) {
        int end = Math.min(to, (at | (Long.SIZE - 1)) + 1);
        bits[at >>> 6] |= -1L >>> (Long.SIZE - (end - at)) << at;
        at = end;
      }
    }

    private void endPage() {
      int held = count(data);
      int empty = count(zero);
      if (held + empty == 0) {
        return;
      }
      int chunkIndex = Math.toIntExact(pageIndex >>> CHUNK_SHIFT);
      while (chunks.size() <= chunkIndex) {
        chunks.add(null);
      }
      @Nullable Page[] chunk = chunks.get(chunkIndex);
      if (chunk == null) {
        chunk = new Page[1 << CHUNK_SHIFT];
        chunks.set(chunkIndex, chunk);
        bytes += (1 << CHUNK_SHIFT) * Integer.BYTES;
      }
      chunk[(int) pageIndex & CHUNK_MASK] = page(held, empty);
      slots += held;
      Arrays.fill(data, 0);
      Arrays.fill(zero, 0);
    }

    private Page page(int held, int empty) {
      if (empty == BlockMap.PAGE_BLOCKS) {
        return AllZero.PAGE;
      }
      if (held + empty <= SPARSE_LIMIT) {
        bytes += OBJECT_BYTES + (long) Character.BYTES * (held + empty);
        return new Sparse(slots, indexes(data, held), indexes(zero, empty));
      }
      bytes += OBJECT_BYTES + (BlockMap.PAGE_BLOCKS >> 3) * (empty == 0 ? 1 : 2) + 128;
      return new Dense(slots, data.clone(), empty == 0 ? null : zero.clone());
    }

    private static int count(long[] bits) {
      int sum = 0;
      for (long word : bits) {
        sum += Long.bitCount(word);
      }
      return sum;
    }

    private static char[] indexes(long[] bits, int count) {
      char[] found = new char[count];
      int at = 0;
      for (int word = 0; word < bits.length; word++) {
        for (long left = bits[word]; left != 0; left &= left - 1) {
          found[at++] = (char) (word << 6 | Long.numberOfTrailingZeros(left));
        }
      }
      return found;
    }

    @Nullable PackMap build() {
      endPage();
      if (bytes > MAX_BYTES) {
        return null;
      }
      @Nullable Page[][] all = new Page[chunks.size()][];
      return new PackMap(chunks.toArray(all), slots, bytes);
    }
  }

  /** 4,096 blocks. */
  private abstract static sealed class Page {
    final int firstSlot;

    Page(int firstSlot) {
      this.firstSlot = firstSlot;
    }

    abstract int slotOf(int index);
  }

  private static final class AllZero extends Page {
    static final AllZero PAGE = new AllZero();

    private AllZero() {
      super(0);
    }

    @Override
    int slotOf(int index) {
      return ZERO;
    }
  }

  /** Sorted lists of the blocks that have data and of those that are zero. */
  private static final class Sparse extends Page {
    private final char[] data;
    private final char[] zero;

    Sparse(int firstSlot, char[] data, char[] zero) {
      super(firstSlot);
      this.data = data;
      this.zero = zero;
    }

    @Override
    int slotOf(int index) {
      int at = Arrays.binarySearch(data, (char) index);
      if (at >= 0) {
        return firstSlot + at;
      }
      return Arrays.binarySearch(zero, (char) index) >= 0 ? ZERO : ABSENT;
    }
  }

  /** One bit per block with data, and how many there are before each word of bits. */
  private static final class Dense extends Page {
    private final long[] data;
    private final char[] before;
    private final long @Nullable [] zero;

    Dense(int firstSlot, long[] data, long @Nullable [] zero) {
      super(firstSlot);
      this.data = data;
      this.zero = zero;
      this.before = new char[data.length];
      int sum = 0;
      for (int i = 0; i < data.length; i++) {
        before[i] = (char) sum;
        sum += Long.bitCount(data[i]);
      }
    }

    @Override
    int slotOf(int index) {
      int at = index >>> 6;
      long word = data[at];
      long bit = 1L << index;
      if ((word & bit) != 0) {
        return firstSlot + before[at] + Long.bitCount(word & (bit - 1));
      }
      return zero != null && (zero[at] & bit) != 0 ? ZERO : ABSENT;
    }
  }
}
