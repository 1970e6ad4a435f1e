package io.malleable.volume;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.UUID;

/**
 * An open volume. Offsets and lengths are bytes and multiples of 512; a range beyond the size is an
 * {@link IndexOutOfBoundsException}. Reads fill the buffer up to its limit and writes drain it,
 * never less. Methods may be called from many threads at once; overlapping concurrent writes end as
 * one or the other per 512-byte sector.
 */
public interface Volume extends AutoCloseable {
  UUID id();

  long sizeBytes();

  /** Whether the volume is sealed: every changing call then throws {@link VolumeException}. */
  boolean sealed();

  void read(long offsetBytes, ByteBuffer destination) throws IOException;

  /**
   * Durable after the next {@link #flush()}; before that, a crash leaves each sector old or new.
   */
  void write(long offsetBytes, ByteBuffer source) throws IOException;

  /**
   * Every write, discard and write of zeroes that returned before the call is durable when this
   * returns.
   */
  void flush() throws IOException;

  /** Longest {@link #writeAtomically}; 0 when the store cannot. */
  default int atomicWriteBytes() {
    return 0;
  }

  /**
   * Durable when it returns; after a crash at any time before that, the whole range is old or the
   * whole range is new. At most {@link #atomicWriteBytes()}.
   */
  default void writeAtomically(long offsetBytes, ByteBuffer source) throws IOException {
    throw new IOException("volume " + id() + " is on a store without atomic writes");
  }

  /** The range reads as zeroes and its space is given back. */
  void discard(long offsetBytes, long lengthBytes) throws IOException;

  /** The range reads as zeroes; space may or may not be given back. */
  void writeZeroes(long offsetBytes, long lengthBytes) throws IOException;

  /** The run of equal allocation that starts at the offset. */
  Extent extentAt(long offsetBytes) throws IOException;

  /**
   * How many reads and writes are worth having under way at once: 1 where a call only moves memory,
   * more where it waits for a network.
   */
  default int concurrency() {
    return 1;
  }

  /** Flushes and releases the handle. */
  @Override
  void close() throws IOException;

  /** Where the bytes of a run come from. */
  enum Origin {
    /** This volume's own data. */
    OWN,
    /** An ancestor's data. */
    INHERITED,
    /** Nobody's: reads as zeroes. */
    ABSENT
  }

  /** One run of equal origin; {@code lengthBytes} is positive and ends within the volume. */
  record Extent(Origin origin, long lengthBytes) {}
}
