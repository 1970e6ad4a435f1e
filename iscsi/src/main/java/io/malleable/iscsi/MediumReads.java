package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** Streams blocks from the medium straight into outgoing Data-In PDUs. Stateless. */
final class MediumReads {
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
      return executeBelowBlockSize(task, out, parameters, (int) Math.min(total, 1 << 20));
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
      SenseData failure = read(device, task.offsetBytes() + sent, data);
      if (failure != null) {
        out.cancel();
        Replies.checkCondition(out, task, failure, sent, dataSn);
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

  /** For initiators that take less than one block per PDU: through a buffer, and short. */
  private static long executeBelowBlockSize(
      Task task, PduWriter out, NegotiatedParameters parameters, int total) throws IOException {
    DeviceServer device = task.device();
    int blockMask = device.blockSizeBytes() - 1;
    ByteBuffer blocks = ByteBuffer.allocate((total + blockMask) & ~blockMask);
    SenseData failure = read(device, task.offsetBytes(), blocks);
    if (failure != null) {
      Replies.checkCondition(out, task, failure, 0, 0);
      return 0;
    }
    Replies.parameterData(out, task, blocks.array(), parameters);
    return total;
  }

  private static @Nullable SenseData read(DeviceServer device, long offsetBytes, ByteBuffer data) {
    try {
      long stamp = device.enterShared();
      try {
        BlockCommands.fill(device, offsetBytes, data);
        return null;
      } finally {
        device.access().unlockRead(stamp);
      }
    } catch (ScsiException e) {
      return e.sense();
    } catch (IOException | RuntimeException e) {
      return Failures.whileReading(e);
    }
  }
}
