package io.malleable.volume.local;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * 256 pages of a {@link BlockMap}: {@link Pages} while it changes, {@link Compact} once its layer
 * is frozen. A block's index counts from the first block of the chunk.
 */
abstract sealed class BlockChunk {
  static final int PAGES_SHIFT = 8;
  static final int PAGES = 1 << PAGES_SHIFT;
  static final int BLOCKS_SHIFT = PAGES_SHIFT + BlockPage.SHIFT;
  static final int BLOCKS = 1 << BLOCKS_SHIFT;

  private static final int IN_PAGE = BlockPage.BLOCKS - 1;

  abstract int stateOf(int index);

  /** As {@link BlockPage#runAt}. */
  abstract int runAt(int index);

  abstract boolean speaksOf(int page);

  /** Whether all blocks of the page are known to be in one state, which may be absent. */
  abstract boolean uniform(int page);

  abstract long dataBlocks();

  /** Remembers that the block, which is data, is as its checksum says. */
  abstract void check(int index);

  /** One object for each page that is not absent. */
  static final class Pages extends BlockChunk {
    private final @Nullable BlockPage[] pages = new BlockPage[PAGES];

    @Override
    int stateOf(int index) {
      BlockPage page = pages[index >>> BlockPage.SHIFT];
      return page == null ? BlockMap.ABSENT : page.stateOf(index & IN_PAGE);
    }

    @Override
    int runAt(int index) {
      BlockPage page = pages[index >>> BlockPage.SHIFT];
      int run = page == null ? BlockPage.BLOCKS << 2 : page.runAt(index & IN_PAGE);
      return ((index & ~IN_PAGE) << 2) + run;
    }

    @Override
    boolean speaksOf(int page) {
      return pages[page] != null;
    }

    @Override
    boolean uniform(int page) {
      BlockPage found = pages[page];
      return found == null || found.uniform();
    }

    @Override
    long dataBlocks() {
      long sum = 0;
      for (BlockPage page : pages) {
        sum += page == null ? 0 : page.dataBlocks();
      }
      return sum;
    }

    @Override
    void check(int index) {
      int inPage = index & IN_PAGE;
      set(index >>> BlockPage.SHIFT, inPage, inPage + 1, BlockMap.CHECKED);
    }

    // Both return by how many bytes the page takes more of the heap.

    int set(int page, int from, int to, int state) {
      BlockPage old = pages[page];
      BlockPage next =
          old == null || to - from == BlockPage.BLOCKS
              ? BlockPage.of(from, to, state)
              : old.with(from, to, state);
      return replace(page, heapBytes(old), next);
    }

    int replace(int page, BlockPage next) {
      return replace(page, heapBytes(pages[page]), next);
    }

    private int replace(int page, int bytesBefore, @Nullable BlockPage next) {
      if (next != pages[page]) {
        VarHandle.releaseFence();
        pages[page] = next;
      }
      return heapBytes(next) - bytesBefore;
    }

    private static int heapBytes(@Nullable BlockPage page) {
      return page == null ? 0 : page.heapBytes();
    }
  }

  /**
   * The sparse pages as one list, as an object per page would take more than what it says when a
   * chain of many layers has a few blocks in each. Of a block only {@link #check} can change.
   */
  static final class Compact extends BlockChunk {
    private static final int GROUP_PAGES_SHIFT = 2;
    private static final int GROUPS = PAGES >>> GROUP_PAGES_SHIFT;

    /** As many blocks as an entry has bits for, beside the two of the state. */
    private static final int GROUP_SHIFT = BlockPage.SHIFT + GROUP_PAGES_SHIFT;

    private static final int IN_GROUP = (1 << GROUP_SHIFT) - 1;
    private static final long[] NONE = new long[PAGES / Long.SIZE];

    /** {@code index in group << 2 | state}, sorted within each group. */
    private final char[] entries;

    /** Where each group begins in the entries, and at last their number. */
    private final char[] starts;

    /** One bit for each page that is no list. */
    private final long[] dense;

    /** These, in order. */
    private final BlockPage[] pages;

    private Compact(char[] entries, char[] starts, long[] dense, BlockPage[] pages) {
      this.entries = entries;
      this.starts = starts;
      this.dense = dense;
      this.pages = pages;
    }

    /** Takes the pages over; null when there are none. */
    static @Nullable Compact of(Pages chunk) {
      int lists = 0;
      int length = 0;
      int others = 0;
      for (BlockPage page : chunk.pages) {
        if (page instanceof BlockPage.Sparse sparse) {
          lists++;
          length += sparse.entries.length;
        } else if (page != null) {
          others++;
        }
      }
      if (lists + others == 0) {
        return null;
      }
      char[] entries = new char[length];
      char[] starts = new char[GROUPS + 1];
      long[] dense = others == 0 ? NONE : new long[PAGES / Long.SIZE];
      BlockPage[] pages = new BlockPage[others];
      int entry = 0;
      int other = 0;
      for (int i = 0; i < PAGES; i++) {
        BlockPage page = chunk.pages[i];
        if (page instanceof BlockPage.Sparse sparse) {
          int first = firstInGroup(i);
          for (char found : sparse.entries) {
            entries[entry++] = (char) (found + (first << 2));
          }
        } else if (page != null) {
          dense[i >>> 6] |= 1L << i;
          pages[other++] = page;
        }
        starts[(i >>> GROUP_PAGES_SHIFT) + 1] = (char) entry;
      }
      return new Compact(entries, starts, dense, pages);
    }

    /** This one in the form that can be changed; takes the pages over. */
    Pages expanded() {
      Pages chunk = new Pages();
      for (int i = 0; i < PAGES; i++) {
        if (isDense(i)) {
          chunk.pages[i] = pages[rank(i)];
          continue;
        }
        int first = firstInGroup(i);
        int from = position(i, first);
        int to = position(i, first + BlockPage.BLOCKS);
        if (from < to) {
          char[] own = new char[to - from];
          for (int j = 0; j < own.length; j++) {
            own[j] = (char) (entries[from + j] - (first << 2));
          }
          chunk.pages[i] = new BlockPage.Sparse(own);
        }
      }
      return chunk;
    }

    /** The index in its group of the page's first block. */
    private static int firstInGroup(int page) {
      return page << BlockPage.SHIFT & IN_GROUP;
    }

    private boolean isDense(int page) {
      return (dense[page >>> 6] >>> page & 1) != 0;
    }

    private int rank(int page) {
      int word = page >>> 6;
      int rank = Long.bitCount(dense[word] & (1L << page) - 1);
      for (int i = 0; i < word; i++) {
        rank += Long.bitCount(dense[i]);
      }
      return rank;
    }

    /** The first entry of the page's group for this index in it or a later one. */
    private int position(int page, int indexInGroup) {
      int group = page >>> GROUP_PAGES_SHIFT;
      return BlockPage.Sparse.position(entries, starts[group], starts[group + 1], indexInGroup);
    }

    /** The entry of the block, or where it would be, as {@code -1 - position}. */
    private int find(int index) {
      int page = index >>> BlockPage.SHIFT;
      int inGroup = index & IN_GROUP;
      int at = position(page, inGroup);
      boolean here = at < starts[(page >>> GROUP_PAGES_SHIFT) + 1] && entries[at] >>> 2 == inGroup;
      return here ? at : -1 - at;
    }

    @Override
    int stateOf(int index) {
      int page = index >>> BlockPage.SHIFT;
      if (isDense(page)) {
        return pages[rank(page)].stateOf(index & IN_PAGE);
      }
      int at = find(index);
      return at < 0 ? BlockMap.ABSENT : entries[at] & 3;
    }

    @Override
    int runAt(int index) {
      int page = index >>> BlockPage.SHIFT;
      int first = index & ~IN_PAGE;
      if (isDense(page)) {
        return (first << 2) + pages[rank(page)].runAt(index & IN_PAGE);
      }
      int at = find(index);
      if (at >= 0) {
        return (index + 1) << 2 | (entries[at] & 3);
      }
      int next = -1 - at;
      int pageEnd = first + BlockPage.BLOCKS;
      boolean last = next == starts[(page >>> GROUP_PAGES_SHIFT) + 1];
      int entry = last ? pageEnd : (index & ~IN_GROUP) + (entries[next] >>> 2);
      return Math.min(pageEnd, entry) << 2;
    }

    @Override
    boolean speaksOf(int page) {
      if (isDense(page)) {
        return true;
      }
      int first = firstInGroup(page);
      return position(page, first) < position(page, first + BlockPage.BLOCKS);
    }

    @Override
    boolean uniform(int page) {
      return isDense(page) ? pages[rank(page)].uniform() : !speaksOf(page);
    }

    @Override
    long dataBlocks() {
      long sum = BlockPage.Sparse.dataIn(entries);
      for (BlockPage page : pages) {
        sum += page.dataBlocks();
      }
      return sum;
    }

    @Override
    void check(int index) {
      int page = index >>> BlockPage.SHIFT;
      if (!isDense(page)) {
        int at = find(index);
        entries[at] = (char) (entries[at] | BlockMap.CHECKED);
        return;
      }
      int rank = rank(page);
      int inPage = index & IN_PAGE;
      BlockPage next = pages[rank].with(inPage, inPage + 1, BlockMap.CHECKED);
      if (next != null && next != pages[rank]) {
        VarHandle.releaseFence();
        pages[rank] = next;
      }
    }
  }
}
