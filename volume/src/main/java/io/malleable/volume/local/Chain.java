package io.malleable.volume.local;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What an open volume reads from: the layer it writes to, if it is writable, and the frozen ones
 * below. Replaced as a whole; readers hold the volume's gate.
 *
 * @param top absent for a sealed volume
 * @param below absent when nothing lies below
 */
record Chain(long sizeBytes, @Nullable Layer top, @Nullable ChainView below) {
  static final ByteBuffer ZEROES = ByteBuffer.allocateDirect(1 << 16).asReadOnlyBuffer();

  /** Whole sectors of the volume. */
  void requireRange(long offsetBytes, long lengthBytes) {
    Objects.checkFromIndexSize(offsetBytes, lengthBytes, sizeBytes);
    if (((offsetBytes | lengthBytes) & (VolumeStore.SECTOR_BYTES - 1)) != 0) {
      throw new IllegalArgumentException(
          "offset %d and length %d must be multiples of %d"
              .formatted(offsetBytes, lengthBytes, VolumeStore.SECTOR_BYTES));
    }
  }

  /** What holds the block's data, or null when it is zero. */
  @Nullable BlockSource sourceOf(long block) {
    if (top != null) {
      int state = top.map.stateOf(block);
      if (state != BlockMap.ABSENT) {
        return state == BlockMap.DATA ? top : null;
      }
    }
    return below == null ? null : below.sourceOf(block);
  }

  /** Fills the buffer; the range may go beyond the size up to the end of its last block. */
  @SuppressWarnings("ReferenceEquality") // a run is what one and the same source has
  void read(long offsetBytes, ByteBuffer destination) throws IOException {
    long position = offsetBytes;
    int limit = destination.limit();
    long end = offsetBytes + destination.remaining();
    try {
      while (position < end) {
        BlockSource source = sourceOf(position >>> BlockMap.BLOCK_SHIFT);
        long runEnd = (position | (BlockMap.BLOCK_BYTES - 1)) + 1;
        while (runEnd < end && sourceOf(runEnd >>> BlockMap.BLOCK_SHIFT) == source) {
          runEnd += BlockMap.BLOCK_BYTES;
        }
        runEnd = Math.min(runEnd, end);
        destination.limit(destination.position() + (int) (runEnd - position));
        if (source == null) {
          putZeroes(destination);
        } else {
          source.read(position, destination);
        }
        position = runEnd;
      }
    } finally {
      destination.limit(limit);
    }
  }

  private static void putZeroes(ByteBuffer destination) {
    while (destination.hasRemaining()) {
      int length = Math.min(destination.remaining(), ZEROES.capacity());
      destination.put(destination.position(), ZEROES, 0, length);
      destination.position(destination.position() + length);
    }
  }

  Volume.Extent extentAt(long offsetBytes) {
    long block = offsetBytes >>> BlockMap.BLOCK_SHIFT;
    long endBlock = (sizeBytes + BlockMap.BLOCK_BYTES - 1) >>> BlockMap.BLOCK_SHIFT;
    Volume.Origin origin = originOf(block);
    long next = block + 1;
    while (next < endBlock && originOf(next) == origin) {
      boolean skip =
          (next & (BlockMap.PAGE_BLOCKS - 1)) == 0 && uniform(next >>> BlockMap.PAGE_SHIFT);
      next += skip ? BlockMap.PAGE_BLOCKS : 1;
    }
    long end = Math.min(sizeBytes, next << BlockMap.BLOCK_SHIFT);
    return new Volume.Extent(origin, end - offsetBytes);
  }

  private boolean uniform(long pageIndex) {
    if (top != null && top.map.speaksOf(pageIndex)) {
      return top.map.uniform(pageIndex);
    }
    return below == null || below.uniform(pageIndex);
  }

  /** A sealed volume's own data is that of its nearest layer. */
  private Volume.Origin originOf(long block) {
    BlockSource source = sourceOf(block);
    if (source == null) {
      return Volume.Origin.ABSENT;
    }
    boolean own = source == top || (top == null && below != null && below.nearestHas(block));
    return own ? Volume.Origin.OWN : Volume.Origin.INHERITED;
  }
}
