package io.malleable.volume.local;

import java.util.Arrays;

/** A growing list of runs of blocks in the encoding of {@link MapLog}. Not thread-safe. */
final class RunList {
  private static final int STATE_SHIFT = 62;

  private long[] runs = new long[16];
  private int size;

  /** Adds a run, to the last one when it continues it. */
  void add(long firstBlock, long count, int state) {
    long first = firstBlock;
    long left = count;
    if (size > 0) {
      long last = runs[size - 1];
      if (state(last) == state && firstBlock(last) + count(last) == first) {
        long moved = Math.min(left, MapLog.MAX_RUN_BLOCKS - count(last));
        runs[size - 1] = MapLog.encode(firstBlock(last), count(last) + moved, state);
        first += moved;
        left -= moved;
      }
    }
    while (left > 0) {
      long length = Math.min(left, MapLog.MAX_RUN_BLOCKS);
      if (size == runs.length) {
        runs = Arrays.copyOf(runs, 2 * size);
      }
      runs[size++] = MapLog.encode(first, length, state);
      first += length;
      left -= length;
    }
  }

  /** Adds these in their order. */
  void addAll(RunList other) {
    for (int i = 0; i < other.size; i++) {
      long run = other.runs[i];
      add(firstBlock(run), count(run), state(run));
    }
  }

  int size() {
    return size;
  }

  long run(int index) {
    return runs[index];
  }

  void clear() {
    size = 0;
  }

  static int state(long run) {
    return (int) (run >>> STATE_SHIFT);
  }

  static long count(long run) {
    return run >>> MapLog.BLOCK_BITS & MapLog.MAX_RUN_BLOCKS;
  }

  static long firstBlock(long run) {
    return run & (1L << MapLog.BLOCK_BITS) - 1;
  }
}
