package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;

/** SCSI Response, Data-In of parameter data, and R2T (RFC 7143 11.4, 11.7, 11.8). Stateless. */
final class Replies {
  private Replies() {}

  /** What the initiator expected against what the command moved, with the flag that says so. */
  static int residualFlag(long expectedBytes, long transferBytes) {
    return transferBytes > expectedBytes
        ? Bhs.OVERFLOW_BIT
        : transferBytes < expectedBytes ? Bhs.UNDERFLOW_BIT : 0;
  }

  static int residualCount(long expectedBytes, long transferBytes) {
    return (int) Math.abs(expectedBytes - transferBytes);
  }

  static void good(PduWriter out, Task task, long transferBytes, int dataInPdus)
      throws IOException {
    response(out, task, ScsiStatus.GOOD, transferBytes, dataInPdus, 0);
    out.end();
  }

  static void status(PduWriter out, Task task, int status) throws IOException {
    response(out, task, status, 0, 0, 0);
    out.end();
  }

  /**
   * A failed command, with why.
   *
   * @param movedBytes what was transferred before the failure
   */
  static void checkCondition(
      PduWriter out, Task task, SenseData sense, long movedBytes, int dataInPdus)
      throws IOException {
    NexusUnit unit = task.unit;
    boolean descriptors = unit != null && unit.device().modePages().descriptorSense();
    byte[] bytes = sense.encode(descriptors);
    ByteBuffer data =
        response(out, task, ScsiStatus.CHECK_CONDITION, movedBytes, dataInPdus, 2 + bytes.length);
    data.putShort((short) bytes.length).put(bytes);
    out.end();
  }

  private static ByteBuffer response(
      PduWriter out, Task task, int status, long movedBytes, int dataInPdus, int dataBytes)
      throws IOException {
    int flags = Bhs.FINAL_BIT | residualFlag(task.expectedBytes, movedBytes);
    ByteBuffer data =
        out.begin(
            Opcode.SCSI_RESPONSE, flags, task.initiatorTaskTag, Outbound.STAT_SN_USED, dataBytes);
    out.putByte(Bhs.STATUS_OFFSET, status)
        .putInt(Bhs.DATA_SN_OFFSET, dataInPdus)
        .putInt(Bhs.RESIDUAL_COUNT_OFFSET, residualCount(task.expectedBytes, movedBytes));
    return data;
  }

  /** Returns parameter data, cut to the allocation length and to what the initiator expects. */
  static void parameterData(PduWriter out, Task task, byte[] reply, NegotiatedParameters parameters)
      throws IOException {
    long available = Math.min(reply.length, task.transferBytes);
    int total = (int) (task.expectsRead ? Math.min(available, task.expectedBytes) : 0);
    if (total == 0) {
      good(out, task, available, 0);
      return;
    }
    int sent = 0;
    int dataSn = 0;
    int burstLeft = parameters.maxBurstBytes();
    while (sent < total) {
      int chunk = Math.min(parameters.sendSegmentBytes(), PduWriter.maxDataBytes());
      chunk = Math.min(Math.min(chunk, burstLeft), total - sent);
      burstLeft -= chunk;
      boolean last = sent + chunk == total;
      boolean burstEnds = last || burstLeft == 0;
      dataIn(out, task, chunk, last).put(reply, sent, chunk);
      finishDataIn(out, task, dataSn++, sent, available, last, burstEnds);
      sent += chunk;
      burstLeft = burstEnds ? parameters.maxBurstBytes() : burstLeft;
    }
  }

  /** Begins a Data-In PDU; with {@code last} it will carry the status GOOD. */
  static ByteBuffer dataIn(PduWriter out, Task task, int lengthBytes, boolean last)
      throws IOException {
    int statSnKind = last ? Outbound.STAT_SN_USED : Outbound.STAT_SN_ABSENT;
    return out.begin(Opcode.DATA_IN, 0, task.initiatorTaskTag, statSnKind, lengthBytes);
  }

  static void finishDataIn(
      PduWriter out,
      Task task,
      int dataSn,
      long bufferOffset,
      long transferBytes,
      boolean last,
      boolean burstEnds) {
    int flags = burstEnds ? Bhs.FINAL_BIT : 0;
    if (last) {
      flags |= Bhs.STATUS_BIT | residualFlag(task.expectedBytes, transferBytes);
      out.putInt(Bhs.RESIDUAL_COUNT_OFFSET, residualCount(task.expectedBytes, transferBytes));
    }
    out.putByte(Bhs.FLAGS_OFFSET, flags)
        .putInt(Bhs.TARGET_TRANSFER_TAG_OFFSET, Bhs.RESERVED_TAG)
        .putInt(Bhs.DATA_SN_OFFSET, dataSn)
        .putInt(Bhs.BUFFER_OFFSET_OFFSET, (int) bufferOffset);
    out.end();
  }

  static void readyToTransfer(
      PduWriter out, Task task, int r2tSn, long bufferOffset, long lengthBytes) throws IOException {
    out.begin(Opcode.R2T, Bhs.FINAL_BIT, task.initiatorTaskTag, Outbound.STAT_SN_NEXT, 0);
    out.putLong(Bhs.LUN_OFFSET, task.lunField)
        .putInt(Bhs.TARGET_TRANSFER_TAG_OFFSET, task.targetTransferTag)
        .putInt(Bhs.DATA_SN_OFFSET, r2tSn)
        .putInt(Bhs.BUFFER_OFFSET_OFFSET, (int) bufferOffset)
        .putInt(Bhs.RESIDUAL_COUNT_OFFSET, (int) lengthBytes);
    out.end();
  }
}
