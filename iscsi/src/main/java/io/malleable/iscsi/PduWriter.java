package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Builds outgoing PDUs one behind the other in a borrowed buffer and sends them as one batch. Owned
 * by one thread; several writers may share an {@link Outbound}.
 */
final class PduWriter implements AutoCloseable {
  private static final int MAX_PDUS_PER_BATCH = 512;

  /** As many small reads; enough to spare most of what sending costs each. */
  private static final int MAX_WAITING_PDUS = 16;

  private static final int MAX_WAITING_BYTES = 64 * 1024;

  private final Outbound outbound;
  private final BufferPool pool;
  private final CRC32C crc = new CRC32C();
  private final int[] pdus = new int[MAX_PDUS_PER_BATCH];
  private int headerDigestBytes;
  private boolean dataDigest;
  private @Nullable ByteBuffer buffer;
  private int count;

  /** The PDU under construction. */
  private int header;

  private int dataLength;

  PduWriter(Outbound outbound, BufferPool pool) {
    this.outbound = outbound;
    this.pool = pool;
  }

  /**
   * With a buffer of its own, for PDUs that all fit it; such a writer is not to be {@linkplain
   * #release released}.
   */
  PduWriter(Outbound outbound, BufferPool pool, ByteBuffer own) {
    this(outbound, pool);
    this.buffer = own;
  }

  void fullFeaturePhase(NegotiatedParameters parameters) {
    headerDigestBytes = parameters.headerDigest() ? 4 : 0;
    dataDigest = parameters.dataDigest();
  }

  /** The largest data segment that one PDU of ours can hold. */
  static int maxDataBytes() {
    return BufferPool.MAX_SEGMENT_BYTES;
  }

  /**
   * Starts a PDU: a zeroed header with opcode, flags, tag and length. The buffer that is returned
   * has its position and limit around the data segment, which {@link #end()} expects filled.
   */
  ByteBuffer begin(
      int opcode, int flags, int initiatorTaskTag, int statSnKind, int dataSegmentBytes)
      throws IOException {
    int digestBytes = dataDigest && dataSegmentBytes > 0 ? 4 : 0;
    int total = Bhs.LENGTH_BYTES + headerDigestBytes + Bhs.padded(dataSegmentBytes) + digestBytes;
    ByteBuffer out = buffer;
    if (out == null) {
      out = pool.acquire(BufferPool.Use.SEND);
      buffer = out;
      header = 0;
      dataLength = 0;
      count = 0;
    }
    int at = nextOffset();
    if (count == MAX_PDUS_PER_BATCH || at + total > out.capacity()) {
      flush();
      at = 0;
    }
    header = at;
    dataLength = dataSegmentBytes;
    pdus[count++] = (at << 2) | statSnKind;
    out.clear();
    for (int i = 0; i < Bhs.LENGTH_BYTES; i += Long.BYTES) {
      out.putLong(at + i, 0);
    }
    out.put(at + Bhs.OPCODE_OFFSET, (byte) opcode);
    out.put(at + Bhs.FLAGS_OFFSET, (byte) flags);
    Bhs.putDataSegmentLength(out, at, dataSegmentBytes);
    out.putInt(at + Bhs.INITIATOR_TASK_TAG_OFFSET, initiatorTaskTag);
    int data = at + Bhs.LENGTH_BYTES + headerDigestBytes;
    out.limit(data + dataSegmentBytes).position(data);
    return out;
  }

  private int nextOffset() {
    return count == 0
        ? 0
        : header
            + Bhs.LENGTH_BYTES
            + headerDigestBytes
            + Bhs.padded(dataLength)
            + (dataDigest && dataLength > 0 ? 4 : 0);
  }

  PduWriter putByte(int fieldOffset, int value) {
    current().put(header + fieldOffset, (byte) value);
    return this;
  }

  PduWriter putShort(int fieldOffset, int value) {
    current().putShort(header + fieldOffset, (short) value);
    return this;
  }

  PduWriter putInt(int fieldOffset, int value) {
    current().putInt(header + fieldOffset, value);
    return this;
  }

  PduWriter putLong(int fieldOffset, long value) {
    current().putLong(header + fieldOffset, value);
    return this;
  }

  /** Shortens the data segment: the last block was read as a whole and is wanted in part. */
  void truncate(int dataSegmentBytes) {
    dataLength = dataSegmentBytes;
    Bhs.putDataSegmentLength(current().clear(), header, dataSegmentBytes);
  }

  /** Completes the PDU; its fields may no longer change. */
  void end() {
    ByteBuffer out = current();
    out.clear();
    int data = header + Bhs.LENGTH_BYTES + headerDigestBytes;
    int padded = Bhs.padded(dataLength);
    for (int i = dataLength; i < padded; i++) {
      out.put(data + i, (byte) 0);
    }
    if (dataDigest && dataLength > 0) {
      crc.reset();
      out.limit(data + padded).position(data);
      crc.update(out);
      out.clear();
      out.putInt(data + padded, Integer.reverseBytes((int) crc.getValue()));
    }
  }

  /** Takes the PDU under construction back: its data could not be had. */
  void cancel() {
    count--;
    // nextOffset() must lead back to where the cancelled PDU began.
    if (count > 0) {
      int previous = pdus[count - 1] >>> 2;
      dataLength = current().getInt(previous + Bhs.DATA_SEGMENT_LENGTH_OFFSET);
      header = previous;
    }
  }

  /** Whether something is to be sent, and so little that it may wait for more to go with it. */
  boolean mayWait() {
    return count > 0 && count < MAX_WAITING_PDUS && nextOffset() < MAX_WAITING_BYTES;
  }

  /** Sends what was built; the buffer stays for the next PDUs. */
  void flush() throws IOException {
    if (count == 0) {
      return;
    }
    ByteBuffer out = current();
    out.limit(nextOffset()).position(0);
    int pduCount = count;
    count = 0;
    outbound.send(out, pdus, pduCount);
    out.clear();
  }

  /** Forgets what was built and not sent. */
  void discard() {
    count = 0;
  }

  /** Gives the buffer back; unsent PDUs are lost. */
  void release() {
    ByteBuffer out = buffer;
    if (out != null) {
      buffer = null;
      count = 0;
      pool.release(out);
    }
  }

  @Override
  public void close() {
    release();
  }

  private ByteBuffer current() {
    ByteBuffer out = buffer;
    if (out == null) {
      throw new IllegalStateException("no PDU begun");
    }
    return out;
  }
}
