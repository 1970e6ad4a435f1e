package io.malleable.iscsi;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One SCSI command from its arrival to its status. Reused; owned by the connection thread, or by
 * one worker while it is dispatched.
 */
final class Task {
  /** Task attributes (RFC 7143 11.3.1, SAM-5 8.6). */
  static final int ORDERED = 2;

  static final int HEAD_OF_QUEUE = 3;

  final byte[] cdb = new byte[Bhs.CDB_LENGTH_BYTES];

  // What the SCSI Command PDU said.
  int initiatorTaskTag;
  long lunField;
  int attribute;

  /** Counts the commands of the session, in the order in which they came. */
  long arrival;

  boolean immediateDelivery;
  boolean expectsRead;
  boolean expectsWrite;

  /** Expected Data Transfer Length, unsigned 32 bits (RFC 7143 11.3.5). */
  long expectedBytes;

  // What preparing it found.
  @Nullable NexusUnit unit;
  @Nullable CommandSpec spec;
  long lba;
  long blocks;

  /** How many bytes the CDB moves in all; for parameter data, the allocation length. */
  long transferBytes;

  int abortGeneration;

  // Data-Out.
  long wantedBytes;
  long receivedBytes;
  long burstEndBytes;
  int targetTransferTag;
  int nextDataSn;
  boolean unsolicitedOpen;

  /** Wire bytes, which may exceed what is wanted. */
  long arrivedBytes;

  int r2tSn;
  boolean burstOpen;

  /** Received data from {@link #dataStart} on: a borrowed buffer, or the connection's own. */
  @Nullable ByteBuffer data;

  int dataStart;

  /** The data lies in a buffer of the pool. */
  boolean ownsBuffer;

  /** Received and not consumed, as it is less than a block, while there is no buffer. */
  byte @Nullable [] rest;

  /** Bytes already handed to the logical unit. */
  long consumedBytes;

  /** Units that must be flushed before the command is answered GOOD. */
  private final List<DeviceServer> toFlush = new ArrayList<>(1);

  // Parameter data to return.
  byte @Nullable [] reply;

  /** Who makes durable what the task has done, from then on; guarded by its {@link Workers}. */
  @Nullable Flusher flusher;

  /** Set when task management ended the task while a worker had it. */
  volatile boolean aborted;

  /** Its status is being sent; guarded by its {@link Workers}. */
  boolean answered;

  void reset() {
    unit = null;
    spec = null;
    lba = 0;
    blocks = 0;
    transferBytes = 0;
    wantedBytes = 0;
    receivedBytes = 0;
    burstEndBytes = 0;
    targetTransferTag = Bhs.RESERVED_TAG;
    nextDataSn = 0;
    unsolicitedOpen = false;
    arrivedBytes = 0;
    r2tSn = 0;
    burstOpen = false;
    data = null;
    dataStart = 0;
    ownsBuffer = false;
    rest = null;
    consumedBytes = 0;
    toFlush.clear();
    reply = null;
    flusher = null;
    aborted = false;
    answered = false;
  }

  /** Whether one of the two, the one that came first, must have ended before the other begins. */
  boolean isOrderedWith(Task other) {
    return other.unit == unit && (attribute == ORDERED || other.attribute == ORDERED);
  }

  /**
   * Whether task management, or another initiator, has aborted it: it must not reach the medium any
   * more and ends without a status.
   */
  boolean isVoid() {
    return aborted || unit().abortGeneration() != abortGeneration;
  }

  NexusUnit unit() {
    NexusUnit present = unit;
    if (present == null) {
      throw new IllegalStateException("task without a logical unit");
    }
    return present;
  }

  DeviceServer device() {
    return unit().device();
  }

  CommandSpec spec() {
    CommandSpec present = spec;
    if (present == null) {
      throw new IllegalStateException("task without a command");
    }
    return present;
  }

  ByteBuffer data() {
    ByteBuffer present = data;
    if (present == null) {
      throw new IllegalStateException("task without a data buffer");
    }
    return present;
  }

  /** What the command did to the unit must be durable before it is answered. */
  void flushBeforeAnswer(DeviceServer device) {
    if (!toFlush.contains(device)) {
      toFlush.add(device);
    }
  }

  /** The command changed the unit's medium, which may forget it unless it has no write cache. */
  void changed(DeviceServer device) {
    if (!device.writeCache()) {
      flushBeforeAnswer(device);
    }
  }

  boolean flushesMore() {
    return !toFlush.isEmpty();
  }

  DeviceServer nextToFlush() {
    return toFlush.removeFirst();
  }

  long offsetBytes() {
    return lba << device().blockShift();
  }

  /** Parameter data; what exceeds the allocation length is cut off when it is sent. */
  void reply(byte[] parameterData) {
    reply = parameterData;
  }

  /** The parameter list that the initiator sent, as far as it sent it. */
  byte[] parameterList() {
    ByteBuffer collected = data;
    if (collected == null) {
      return new byte[0];
    }
    byte[] list = new byte[(int) receivedBytes];
    collected.get(dataStart, list);
    return list;
  }

  /** Sets the range that the command addresses and how much data goes with it. */
  void range(long firstLba, long blockCount) throws ScsiException {
    DeviceServer device = device();
    device.requireRange(firstLba, blockCount);
    lba = firstLba;
    blocks = blockCount;
  }
}
