package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectableChannel;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The sending half of a connection. Numbers are stamped on PDUs when they leave, under the lock, so
 * that StatSN follows the order on the wire whichever thread built the PDU (RFC 7143 4.2.2.2).
 */
final class Outbound {
  /** How a PDU takes part in status numbering. */
  static final int STAT_SN_ABSENT = 0;

  /** Carries the next StatSN without using it up: R2T and our NOP-In pings. */
  static final int STAT_SN_NEXT = 1;

  static final int STAT_SN_USED = 2;

  private static final long PEER_BEHIND_NANOS = TimeUnit.MICROSECONDS.toNanos(200);

  private final WritableByteChannel channel;
  private final ReentrantLock lock = new ReentrantLock();
  private final CRC32C crc = new CRC32C();
  private boolean headerDigest;
  private int statSn;
  private volatile CommandWindow window = new CommandWindow(0, 1);

  /** Who reads from the channel, and alone may change how it blocks. */
  private volatile @Nullable Thread receiver;

  /** When the send that is under way began, or 0; read by the timer to find a stalled peer. */
  private volatile long sendingSinceNanos;

  Outbound(WritableByteChannel channel) {
    this.channel = channel;
  }

  void receiver(Thread thread) {
    receiver = thread;
  }

  /** Whether somebody sends just now. */
  boolean sending() {
    return lock.isLocked();
  }

  void fullFeaturePhase(NegotiatedParameters parameters) {
    headerDigest = parameters.headerDigest();
  }

  void window(CommandWindow commandWindow) {
    window = commandWindow;
  }

  long sendingSinceNanos() {
    return sendingSinceNanos;
  }

  /**
   * Stamps and sends.
   *
   * @param pdus header offsets, shifted left by two, with the STAT_SN kind in the low bits
   */
  void send(ByteBuffer buffer, int[] pdus, int count) throws IOException {
    lock.lock();
    try {
      int expCmdSn = window.expCmdSn();
      int maxCmdSn = window.advertise();
      for (int i = 0; i < count; i++) {
        int header = pdus[i] >>> 2;
        stampStatSn(buffer, header, pdus[i] & 3);
        buffer.putInt(header + Bhs.EXP_CMD_SN_OFFSET, expCmdSn);
        buffer.putInt(header + Bhs.MAX_CMD_SN_OFFSET, maxCmdSn);
        if (headerDigest) {
          stampDigest(buffer, header);
        }
      }
      sendingSinceNanos = System.nanoTime() | 1;
      while (buffer.hasRemaining()) {
        if (channel.write(buffer) == 0 && channel instanceof SelectableChannel socket) {
          awaitPeer(socket);
        }
      }
    } finally {
      sendingSinceNanos = 0;
      lock.unlock();
    }
  }

  /** The connection polls, and the peer is behind: from here on wait for it. */
  private void awaitPeer(SelectableChannel socket) throws IOException {
    if (Thread.currentThread() == receiver) {
      socket.configureBlocking(true);
    } else {
      // To change how it blocks now could put the receiver to sleep in the middle of a poll.
      LockSupport.parkNanos(PEER_BEHIND_NANOS);
    }
  }

  private void stampStatSn(ByteBuffer buffer, int header, int statSnKind) {
    if (statSnKind != STAT_SN_ABSENT) {
      buffer.putInt(header + Bhs.STAT_SN_OFFSET, statSn);
      if (statSnKind == STAT_SN_USED) {
        statSn++;
      }
    }
  }

  private void stampDigest(ByteBuffer buffer, int header) {
    int position = buffer.position();
    int limit = buffer.limit();
    crc.reset();
    buffer.limit(header + Bhs.LENGTH_BYTES).position(header);
    crc.update(buffer);
    buffer.limit(limit).position(position);
    buffer.putInt(header + Bhs.LENGTH_BYTES, Integer.reverseBytes((int) crc.getValue()));
  }

  /**
   * Sends one PDU without data unless the connection is sending already.
   *
   * @return whether it was sent
   */
  boolean sendIfIdle(ByteBuffer header, int statSnKind) throws IOException {
    if (!lock.tryLock()) {
      return false;
    }
    try {
      send(header, statSnKind);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Sends one PDU without data, after what is being sent. */
  void send(ByteBuffer header, int statSnKind) throws IOException {
    lock.lock();
    try {
      header.limit(headerDigest ? Bhs.LENGTH_BYTES + 4 : Bhs.LENGTH_BYTES).position(0);
      send(header, new int[] {statSnKind}, 1);
    } finally {
      lock.unlock();
    }
  }
}
