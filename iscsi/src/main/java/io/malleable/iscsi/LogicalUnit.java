package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The storage behind one LUN. The command set (sense data, reservations, mode pages, caching rules)
 * is this library's; an implementation only moves bytes.
 *
 * <p>Offsets and lengths are bytes, already checked against {@link #sizeBytes()} and multiples of
 * {@link #blockSizeBytes()}. Every method may be called from many connection threads at once. A
 * buffer belongs to the implementation until the call returns; reads fill it to its limit, writes
 * drain it, never less. An {@link IOException} becomes sense data on the wire: see {@link
 * OutOfSpaceException} for the one cause that SBC-3 distinguishes; everything else is a medium
 * error.
 */
public interface LogicalUnit {
  /** What INQUIRY and the VPD pages say; stable over restarts and moves. */
  LogicalUnitIdentity identity();

  /** Logical block length: 512 or 4096. */
  int blockSizeBytes();

  /**
   * Capacity now; it may grow while sessions are open, which raises the unit attention CAPACITY
   * DATA HAS CHANGED.
   */
  long sizeBytes();

  boolean readOnly();

  void read(long offsetBytes, ByteBuffer destination) throws IOException;

  void write(long offsetBytes, ByteBuffer source) throws IOException;

  /**
   * Returns when every write answered before the call is durable. Called by a thread that does
   * nothing else for the unit, while reads and writes go on; one call at a time, except for {@link
   * IscsiServer#close}.
   */
  void flush() throws IOException;

  /**
   * Whether a write may be answered before it is durable (WCE, SBC-3 6.4.5). If not, whatever
   * changes the medium is answered after a {@link #flush} that covers it. Asked once, when the unit
   * joins a target, as initiators ask once when they find it.
   */
  default boolean writeCache() {
    return true;
  }

  /**
   * The range reads as zeroes afterwards and keeps no space of its own where the store can avoid
   * it.
   */
  void unmap(long offsetBytes, long lengthBytes) throws IOException;

  /**
   * The range reads as zeroes afterwards and stays provisioned: a later write to it cannot run out
   * of space.
   */
  void writeZeroes(long offsetBytes, long lengthBytes) throws IOException;

  /**
   * The provisioning state at the offset and how far the same state goes on, for GET LBA STATUS
   * (SBC-3 5.6).
   */
  Extent extentAt(long offsetBytes) throws IOException;

  /**
   * The unit in which {@link #unmap} gives back space, a power of two from the block size up;
   * initiators align partitions and file systems to it.
   */
  default int provisioningGranularityBytes() {
    return 4096;
  }

  /**
   * Length of the blocks that the medium itself writes, a power of two from the block size up; told
   * by READ CAPACITY(16).
   */
  default int physicalBlockSizeBytes() {
    return blockSizeBytes();
  }

  /**
   * Longest write that a crash leaves whole or undone, for WRITE ATOMIC (SBC-4 4.29); with 0, the
   * default, that command is not supported.
   */
  default int atomicWriteBytes() {
    return 0;
  }

  /**
   * A write of at most {@link #atomicWriteBytes()} that a crash leaves whole or undone. Only needed
   * where an ordinary write does not keep that promise by itself.
   */
  default void writeAtomically(long offsetBytes, ByteBuffer source) throws IOException {
    write(offsetBytes, source);
  }

  /**
   * How many reads and writes of one session are worth having in progress at once. With 1, the
   * default, each is executed by the connection's own thread, which is fastest for a store that
   * answers from memory or a local file. A greater number, for a store across a network, executes
   * them on that many worker threads at most and answers in order of completion.
   */
  default int concurrency() {
    return 1;
  }

  /**
   * One run of equal provisioning state.
   *
   * @param mapped whether reads come from stored data, own or inherited, and not from the rule that
   *     absent blocks are zero
   * @param lengthBytes positive
   */
  record Extent(boolean mapped, long lengthBytes) {}
}
