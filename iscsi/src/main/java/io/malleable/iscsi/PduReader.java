package io.malleable.iscsi;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the incoming byte stream into PDUs. Owned by the connection thread.
 *
 * <p>Keeps a small buffer of its own, enough for login and for bursts of commands, and borrows a
 * large one from the pool while data segments or many commands arrive; it sleeps with the large one
 * only in the middle of a PDU that needs it.
 */
final class PduReader implements AutoCloseable {
  /** Holds a login PDU with the default data segment of 8192 bytes (RFC 7143 13.12). */
  private static final int SMALL_BUFFER_BYTES = 12 * 1024;

  private final ReadableByteChannel channel;
  private final BufferPool pool;
  private final ByteBuffer small = ByteBuffer.allocateDirect(SMALL_BUFFER_BYTES);
  private final RequestHeader header = new RequestHeader();
  private final CRC32C crc = new CRC32C();

  private ByteBuffer buffer = small;
  private boolean borrowed;

  /** Received and not yet consumed: {@code [start, end)}. */
  private int start;

  private int end;

  /** Bytes that the PDU at {@code start} needs, as far as known: a header, or all of it. */
  private int needed = Bhs.LENGTH_BYTES;

  private int lastFillBytes;
  private int maxDataSegmentBytes = 8192;
  private boolean headerDigest;
  private boolean dataDigest;

  private int dataOffset;
  private int dataLength;
  private boolean dataIntact = true;
  private boolean advanced;
  private long totalBytes;

  /** Copy of the total for the timer. */
  private volatile long receivedBytes;

  /** When the PDU that is still incomplete began to arrive, or 0; read by the timer. */
  private volatile long partialSinceNanos;

  PduReader(ReadableByteChannel channel, BufferPool pool) {
    this.channel = channel;
    this.pool = pool;
  }

  void fullFeaturePhase(int maxDataSegmentBytes, NegotiatedParameters parameters) {
    this.maxDataSegmentBytes = maxDataSegmentBytes;
    this.headerDigest = parameters.headerDigest();
    this.dataDigest = parameters.dataDigest();
  }

  RequestHeader header() {
    return header;
  }

  /** The buffer in which the current PDU lies; position and limit are the caller's to use. */
  ByteBuffer buffer() {
    return buffer;
  }

  int dataOffset() {
    return dataOffset;
  }

  int dataLength() {
    return dataLength;
  }

  /** False when the data digest of the current PDU did not match. */
  boolean dataIntact() {
    return dataIntact;
  }

  long receivedBytes() {
    return receivedBytes;
  }

  long partialSinceNanos() {
    return partialSinceNanos;
  }

  /** Moves on to the next PDU if it is here completely. */
  boolean next() throws ProtocolException {
    int available = end - start;
    if (available < Bhs.LENGTH_BYTES) {
      needed = Bhs.LENGTH_BYTES;
      return false;
    }
    header.wrap(buffer, start);
    int ahsBytes = header.totalAhsLengthBytes();
    int length = header.dataSegmentLength();
    if (length > maxDataSegmentBytes) {
      // RFC 7143 13.12: MaxRecvDataSegmentLength is ours to declare and the peer's to keep.
      throw new ProtocolException(
          "data segment of " + length + " bytes, at most " + maxDataSegmentBytes + " declared");
    }
    int headBytes = Bhs.LENGTH_BYTES + ahsBytes + (headerDigest ? 4 : 0);
    int bodyBytes = Bhs.padded(length) + (dataDigest && length > 0 ? 4 : 0);
    int total = headBytes + bodyBytes;
    if (available < total) {
      needed = total;
      return false;
    }
    if (headerDigest) {
      checkHeaderDigest(Bhs.LENGTH_BYTES + ahsBytes);
    }
    dataOffset = start + headBytes;
    dataLength = length;
    dataIntact = !dataDigest || length == 0 || dataDigestMatches();
    start += total;
    advanced = true;
    return true;
  }

  /**
   * Waits for more bytes.
   *
   * @throws EOFException the peer closed the connection
   */
  void fill() throws IOException {
    boolean wantLarge = needed > SMALL_BUFFER_BYTES;
    makeRoom(wantLarge && !borrowed ? pool.acquire(BufferPool.Use.RECEIVE) : null, wantLarge);
    begin();
    received(channel.read(buffer));
  }

  /**
   * Takes what is here already or comes soon.
   *
   * @param poll of the channel that this reads from
   * @return whether anything came; if not, {@link #fill} is next
   * @throws EOFException the peer closed the connection
   */
  boolean poll(BusyPoll poll) throws IOException {
    boolean wantLarge = needed > SMALL_BUFFER_BYTES || lastFillBytes >= SMALL_BUFFER_BYTES;
    // Without waiting, as the caller may have a buffer to send from.
    makeRoom(wantLarge && !borrowed ? pool.tryAcquire(BufferPool.Use.RECEIVE) : null, wantLarge);
    begin();
    int count = poll.poll(buffer, borrowed);
    if (count == 0) {
      return false;
    }
    received(count);
    return true;
  }

  /**
   * Takes what is here already.
   *
   * @return whether anything was
   * @throws EOFException the peer closed the connection
   */
  boolean look(BusyPoll poll) throws IOException {
    boolean wantLarge = needed > SMALL_BUFFER_BYTES;
    makeRoom(wantLarge && !borrowed ? pool.acquire(BufferPool.Use.RECEIVE) : null, wantLarge);
    begin();
    int count = poll.look(buffer);
    if (count != 0) {
      received(count);
    }
    return count != 0;
  }

  /**
   * Takes what is here already or comes at once, while answers wait to be sent.
   *
   * @return whether anything came
   * @throws EOFException the peer closed the connection
   */
  boolean gather(BusyPoll poll) throws IOException {
    if (!poll.gathers()) {
      return false;
    }
    makeRoom(null, true);
    begin();
    int count = buffer.hasRemaining() ? poll.gather(buffer) : 0;
    if (count == 0) {
      return false;
    }
    received(count);
    return true;
  }

  private void begin() {
    if (end == 0) {
      if (partialSinceNanos != 0) {
        partialSinceNanos = 0;
      }
    } else if (advanced || partialSinceNanos == 0) {
      partialSinceNanos = System.nanoTime() | 1;
    }
    advanced = false;
    buffer.limit(buffer.capacity()).position(end);
  }

  private void received(int count) throws EOFException {
    if (count < 0) {
      throw new EOFException("closed by peer");
    }
    lastFillBytes = count;
    totalBytes += count;
    receivedBytes = totalBytes;
    end += count;
  }

  private void makeRoom(@Nullable ByteBuffer large, boolean keepLarge) {
    int pending = end - start;
    if (large != null) {
      small.clear();
      large.put(0, small, start, pending);
      buffer = large;
      borrowed = true;
    } else if (!keepLarge && borrowed && pending <= SMALL_BUFFER_BYTES) {
      buffer.clear();
      small.clear();
      small.put(0, buffer, start, pending);
      pool.release(buffer);
      buffer = small;
      borrowed = false;
    } else if (start > 0 && pending > 0) {
      buffer.limit(end).position(start);
      buffer.compact();
    }
    start = 0;
    end = pending;
  }

  private void checkHeaderDigest(int lengthBytes) throws ProtocolException {
    int expected = Integer.reverseBytes(digest(start, lengthBytes));
    if (buffer.getInt(start + lengthBytes) != expected) {
      // The length itself may be wrong, so there is no next PDU to find: RFC 7143 7.7.
      throw new ProtocolException("header digest does not match");
    }
  }

  private boolean dataDigestMatches() {
    int lengthBytes = Bhs.padded(dataLength);
    int expected = Integer.reverseBytes(digest(dataOffset, lengthBytes));
    return buffer.getInt(dataOffset + lengthBytes) == expected;
  }

  private int digest(int offset, int lengthBytes) {
    crc.reset();
    buffer.limit(offset + lengthBytes).position(offset);
    crc.update(buffer);
    buffer.limit(buffer.capacity());
    return (int) crc.getValue();
  }

  @Override
  public void close() {
    if (borrowed) {
      pool.release(buffer);
      buffer = small;
      borrowed = false;
    }
    start = 0;
    end = 0;
  }
}
