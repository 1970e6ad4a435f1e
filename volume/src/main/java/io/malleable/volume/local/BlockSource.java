package io.malleable.volume.local;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Something that says, for some blocks of a chain, what they hold. Used from many threads. */
abstract class BlockSource {
  /** What it says about the block: one of the states of {@link BlockMap}. */
  abstract int stateOf(long block);

  /** Whether it says anything about any block of the page. */
  abstract boolean speaksOf(long pageIndex);

  /** Whether it says the same about every block of the page. */
  abstract boolean uniform(long pageIndex);

  /** The runs within a range that are not absent, in ascending order. */
  abstract void forEachRun(long firstBlock, long endBlock, BlockMap.RunConsumer consumer);

  /** Fills the buffer from blocks that are {@link BlockMap#DATA} here. */
  abstract void read(long positionBytes, ByteBuffer destination) throws IOException;
}
