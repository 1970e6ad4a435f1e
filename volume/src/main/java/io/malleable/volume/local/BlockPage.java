package io.malleable.volume.local;

import org.jspecify.annotations.Nullable;

/**
 * 4,096 blocks of a {@link BlockMap}, in one of four forms. A block's state is one of those of the
 * map, {@link BlockMap#CHECKED} among them.
 */
abstract sealed class BlockPage {
  static final int SHIFT = 12;
  static final int BLOCKS = 1 << SHIFT;

  /** Words of a page with two bits for each block. */
  static final int PAIR_WORDS = 2 * BLOCKS / Long.SIZE;

  /** Two objects, one of them an array. */
  private static final int OBJECT_BYTES = 40;

  /** Beyond this many entries a bitmap is smaller than a list. */
  static final int SPARSE_LIMIT = 192;

  abstract int stateOf(int index);

  /**
   * This page with a range changed: itself, changed in place, or its successor; null when empty.
   */
  abstract @Nullable BlockPage with(int from, int to, int state);

  abstract int dataBlocks();

  /**
   * The block's state and an index up to which all from this one on are in it, perhaps not the last
   * such one; as one answer, as the page may be changed meanwhile.
   *
   * @return {@code until << 2 | state}
   */
  abstract int runAt(int index);

  /** What it takes of the heap, about. */
  abstract int heapBytes();

  /**
   * A page in the form of {@link Pairs}.
   *
   * @param words 2 bits for each block, that of the first one in the lowest bits of the first word;
   *     taken over
   */
  static BlockPage ofPairs(long[] words) {
    return new Pairs(words);
  }

  /** Whether all blocks are known to be in one state. */
  boolean uniform() {
    return false;
  }

  /** A page of nothing, with a range set. */
  static @Nullable BlockPage of(int from, int to, int state) {
    if (to - from == BLOCKS) {
      return Uniform.of(state);
    }
    return state == BlockMap.ABSENT ? null : new Sparse(new char[0]).with(from, to, state);
  }

  /** All blocks alike. */
  private static final class Uniform extends BlockPage {
    private static final @Nullable Uniform[] ALL = {
      null, new Uniform(BlockMap.DATA), new Uniform(BlockMap.ZERO), new Uniform(BlockMap.CHECKED)
    };

    private final int state;

    private Uniform(int state) {
      this.state = state;
    }

    static @Nullable Uniform of(int state) {
      return ALL[state];
    }

    @Override
    int stateOf(int index) {
      return state;
    }

    @Override
    int dataBlocks() {
      return (state & BlockMap.DATA) * BLOCKS;
    }

    @Override
    int runAt(int index) {
      return BLOCKS << 2 | state;
    }

    @Override
    boolean uniform() {
      return true;
    }

    @Override
    int heapBytes() {
      return 0;
    }

    @Override
    @Nullable BlockPage with(int from, int to, int newState) {
      return newState == state ? this : Pairs.copyOf(this).with(from, to, newState);
    }
  }

  /** A sorted list of {@code index << 2 | state}; immutable. */
  static final class Sparse extends BlockPage {
    final char[] entries;

    Sparse(char[] entries) {
      this.entries = entries;
    }

    /** The first entry in a part of a list that is for this index or a later one. */
    static int position(char[] entries, int from, int to, int index) {
      int low = from;
      int high = to;
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

    private int position(int index) {
      return position(entries, 0, entries.length, index);
    }

    @Override
    int stateOf(int index) {
      int at = position(index);
      return at < entries.length && entries[at] >>> 2 == index ? entries[at] & 3 : BlockMap.ABSENT;
    }

    @Override
    int dataBlocks() {
      return dataIn(entries);
    }

    @Override
    int heapBytes() {
      return OBJECT_BYTES + Character.BYTES * entries.length;
    }

    static int dataIn(char[] entries) {
      int sum = 0;
      for (char entry : entries) {
        sum += entry & BlockMap.DATA;
      }
      return sum;
    }

    @Override
    int runAt(int index) {
      int at = position(index);
      if (at == entries.length) {
        return BLOCKS << 2;
      }
      int next = entries[at] >>> 2;
      return next == index ? (index + 1) << 2 | (entries[at] & 3) : next << 2;
    }

    @Override
    @Nullable BlockPage with(int from, int to, int state) {
      int before = position(from);
      int behind = position(to);
      int inserted = state == BlockMap.ABSENT ? 0 : to - from;
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

    private BlockPage denser(int state) {
      boolean onlyData = Bits.canSay(state);
      for (char entry : entries) {
        onlyData &= Bits.canSay(entry & 3);
      }
      return onlyData ? Bits.copyOf(this) : Pairs.copyOf(this);
    }
  }

  /** One bit per block: data or absent. Changed in place, one long at a time. */
  private static final class Bits extends BlockPage {
    private final long[] words = new long[BLOCKS / Long.SIZE];
    private int dataBlocks;

    static boolean canSay(int state) {
      return state == BlockMap.DATA || state == BlockMap.ABSENT;
    }

    static Bits copyOf(Sparse page) {
      Bits copy = new Bits();
      for (char entry : page.entries) {
        int index = entry >>> 2;
        copy.words[index >>> 6] |= 1L << index;
      }
      copy.dataBlocks = page.entries.length;
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
    int heapBytes() {
      return OBJECT_BYTES + BLOCKS / Byte.SIZE;
    }

    @Override
    int runAt(int index) {
      long word = words[index >>> 6] >>> index;
      int state = (int) word & 1;
      long others = state == 0 ? word : ~word;
      int wordEnd = (index | (Long.SIZE - 1)) + 1;
      return Math.min(wordEnd, index + Long.numberOfTrailingZeros(others)) << 2 | state;
    }

    @Override
    @Nullable BlockPage with(int from, int to, int state) {
      if (!canSay(state)) {
        return Pairs.copyOf(this).with(from, to, state);
      }
      for (int i = from; i < to; i++) {
        long word = words[i >>> 6];
        long next = state == BlockMap.DATA ? word | 1L << i : word & ~(1L << i);
        if (next != word) {
          words[i >>> 6] = next;
          dataBlocks += state == BlockMap.DATA ? 1 : -1;
        }
      }
      if (dataBlocks == BLOCKS) {
        return Uniform.of(BlockMap.DATA);
      }
      return dataBlocks == 0 ? null : this;
    }
  }

  /** Two bits per block, so that a change of state is one write of one long. */
  private static final class Pairs extends BlockPage {
    private static final long LOW_BITS = 0x5555555555555555L;

    private final long[] words;

    Pairs(long[] words) {
      this.words = words;
    }

    @Override
    int heapBytes() {
      return OBJECT_BYTES + 2 * BLOCKS / Byte.SIZE;
    }

    static Pairs copyOf(BlockPage page) {
      Pairs copy = new Pairs(new long[PAIR_WORDS]);
      for (int i = 0; i < BLOCKS; i++) {
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
        sum += Long.bitCount(word & LOW_BITS * BlockMap.DATA);
      }
      return sum;
    }

    @Override
    int runAt(int index) {
      return (index + 1) << 2 | stateOf(index);
    }

    private void put(int index, int state) {
      int word = index >>> 5;
      int shift = index << 1;
      words[word] = (words[word] & ~(3L << shift)) | ((long) state << shift);
    }

    @Override
    @Nullable BlockPage with(int from, int to, int state) {
      for (int i = from; i < to; i++) {
        put(i, state);
      }
      // All words alike and of one state: back to the cheap form.
      long pattern = LOW_BITS * state;
      for (long word : words) {
        if (word != pattern) {
          return this;
        }
      }
      return Uniform.of(state);
    }
  }
}
