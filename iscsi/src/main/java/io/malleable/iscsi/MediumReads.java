package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** Streams blocks from the medium straight into outgoing Data-In PDUs. Stateless. */
final class MediumReads {
  private static final int SCRATCH_BYTES = 64 * 1024;

  private MediumReads() {}

  /**
   * Executes a prepared read and answers it.
   *
   * @return bytes sent
   */
  static long execute(Task task, PduWriter out, NegotiatedParameters parameters)
      throws IOException {
    long total = task.expectsRead ? Math.min(task.transferBytes, task.expectedBytes) : 0;
    if (total == 0) {
      Replies.good(out, task, task.transferBytes, 0);
      return 0;
    }
    DeviceServer device = task.device();
    int blockMask = device.blockSizeBytes() - 1;
    int burst = parameters.maxBurstBytes() & ~blockMask;
    int chunkLimit = Math.min(parameters.sendSegmentBytes(), PduWriter.maxDataBytes()) & ~blockMask;
    if (burst == 0 || chunkLimit == 0) {
      return executeBelowBlockSize(task, out, parameters, total);
    }
    long sent = 0;
    int dataSn = 0;
    int burstLeft = burst;
    while (sent < total) {
      int chunk = (int) Math.min(Math.min(chunkLimit, burstLeft), total - sent);
      burstLeft -= chunk;
      boolean last = sent + chunk == total;
      // The initiator may expect less than whole blocks; the medium is read in blocks.
      int wholeBlocks = (chunk + blockMask) & ~blockMask;
      ByteBuffer data = Replies.dataIn(out, task, wholeBlocks, last);
      ScsiException failure = read(task, task.offsetBytes() + sent, data);
      if (failure != null) {
        out.cancel();
        fail(task, failure, out, sent, dataSn);
        return sent;
      }
      if (wholeBlocks != chunk) {
        out.truncate(chunk);
      }
      boolean burstEnds = last || burstLeft == 0;
      Replies.finishDataIn(out, task, dataSn++, sent, task.transferBytes, last, burstEnds);
      sent += chunk;
      burstLeft = burstEnds ? burst : burstLeft;
    }
    return sent;
  }

  /** For initiators that take less than one block per PDU, or per burst: through a buffer. */
  private static long executeBelowBlockSize(
      Task task, PduWriter out, NegotiatedParameters parameters, long total) throws IOException {
    int blockMask = task.device().blockSizeBytes() - 1;
    ByteBuffer blocks = ByteBuffer.allocate(SCRATCH_BYTES);
    blocks.position(blocks.limit());
    int segment = Math.min(parameters.sendSegmentBytes(), PduWriter.maxDataBytes());
    int burstLeft = parameters.maxBurstBytes();
    long sent = 0;
    int dataSn = 0;
    while (sent < total) {
      if (!blocks.hasRemaining()) {
        long left = (total - sent + blockMask) & ~blockMask;
        ScsiException failure =
            read(
                task,
                task.offsetBytes() + sent,
                blocks.clear().limit((int) Math.min(SCRATCH_BYTES, left)));
        if (failure != null) {
          fail(task, failure, out, sent, dataSn);
          return sent;
        }
        blocks.flip();
      }
      int chunk = (int) Math.min(Math.min(segment, burstLeft), total - sent);
      chunk = Math.min(chunk, blocks.remaining());
      burstLeft -= chunk;
      boolean last = sent + chunk == total;
      boolean burstEnds = last || burstLeft == 0;
      Replies.dataIn(out, task, chunk, last).put(blocks.array(), blocks.position(), chunk);
      blocks.position(blocks.position() + chunk);
      Replies.finishDataIn(out, task, dataSn++, sent, task.transferBytes, last, burstEnds);
      sent += chunk;
      burstLeft = burstEnds ? parameters.maxBurstBytes() : burstLeft;
    }
    return sent;
  }

  private static void fail(
      Task task, ScsiException failure, PduWriter out, long sentBytes, int dataInPdus)
      throws IOException {
    if (failure instanceof TaskAbortedException) {
      task.unit().noticeAbort(task);
    } else {
      Replies.checkCondition(out, task, failure.sense(), sentBytes, dataInPdus);
    }
  }

  private static @Nullable ScsiException read(Task task, long offsetBytes, ByteBuffer data) {
    DeviceServer device = task.device();
    try {
      long stamp = device.enterShared(task);
      try {
        BlockCommands.fill(device, offsetBytes, data);
        return null;
      } finally {
        device.access().unlockRead(stamp);
      }
    } catch (ScsiException e) {
      return e;
    } catch (RuntimeException e) {
      return Failures.whileReading(e).asException();
    }
  }
}
