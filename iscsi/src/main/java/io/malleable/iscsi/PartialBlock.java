package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The end of a write whose initiator announced less than the command transfers, and that within a
 * block. What was announced is written and the residual says what was not (RFC 7143 11.4.5.2); the
 * rest of the block stays.
 */
final class PartialBlock {
  private static final int OR_WRITE_16 = 0x8b;

  private PartialBlock() {}

  /** Alone with the medium: what others wrote to the block meanwhile would be undone. */
  static void write(Task task, long offsetBytes, ByteBuffer part)
      throws ScsiException, IOException {
    DeviceServer device = task.device();
    boolean or = task.spec().opcode() == OR_WRITE_16;
    ByteBuffer block = ByteBuffer.allocate(device.blockSizeBytes());
    long stamp = device.enterExclusive(task);
    try {
      BlockCommands.fill(device, offsetBytes, block);
      for (int at = 0; part.hasRemaining(); at++) {
        byte sent = part.get();
        block.put(at, or ? (byte) (block.get(at) | sent) : sent);
      }
      BlockCommands.drain(device, offsetBytes, block.clear());
    } finally {
      device.access().unlockWrite(stamp);
    }
  }
}
