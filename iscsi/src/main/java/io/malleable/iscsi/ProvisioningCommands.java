package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;

/** UNMAP, WRITE SAME, GET LBA STATUS and READ CAPACITY (SBC-3 4.7, 5). Stateless. */
final class ProvisioningCommands {
  static final int MAX_UNMAP_DESCRIPTORS = 256;

  /** Bounds how long one UNMAP or WRITE SAME can keep the unit busy. */
  private static final long MAX_UNMAP_BYTES = 512L << 20;

  private static final long MAX_WRITE_SAME_BYTES = 256L << 20;
  private static final int MAX_STATUS_DESCRIPTORS = 512;
  private static final int ANCHOR = 0x10;
  private static final int UNMAP = 0x08;
  private static final int NO_DATA_OUT_BUFFER = 0x01;
  private static final int PATTERN_BYTES = 64 * 1024;

  private ProvisioningCommands() {}

  static long maxUnmapBlocks(int blockSizeBytes) {
    return MAX_UNMAP_BYTES / blockSizeBytes;
  }

  static long maxWriteSameBlocks(int blockSizeBytes) {
    return MAX_WRITE_SAME_BYTES / blockSizeBytes;
  }

  static void readCapacity10(Task task) throws ScsiException {
    if (Cdb.u32(task.cdb, 2) != 0 || Cdb.bit(task.cdb, 8, 0x01)) {
      throw SenseData.invalidFieldInCdb(2).asException();
    }
    DeviceServer device = task.device();
    task.transferBytes = 8;
    long last = Math.min(device.blockCount() - 1, 0xffffffffL);
    task.reply(ByteBuffer.allocate(8).putInt((int) last).putInt(device.blockSizeBytes()).array());
  }

  static void readCapacity16(Task task) {
    DeviceServer device = task.device();
    task.transferBytes = Cdb.u32(task.cdb, 10);
    ByteBuffer reply = ByteBuffer.allocate(32);
    reply.putLong(device.blockCount() - 1).putInt(device.blockSizeBytes()).put((byte) 0);
    reply.put((byte) device.physicalBlockExponent());
    // LBPME and LBPRZ: thin, and what is not mapped reads as zeroes.
    reply.put((byte) (device.thin() ? 0xc0 : 0));
    task.reply(reply.array());
  }

  static void prepareUnmap(Task task) throws ScsiException {
    task.device().requireWritable();
    if (Cdb.bit(task.cdb, 1, 0x01)) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
    task.transferBytes = Cdb.u16(task.cdb, 7);
  }

  static void unmap(Task task) throws ScsiException, IOException {
    byte[] list = task.parameterList();
    if (list.length == 0) {
      return;
    }
    if (list.length < 8) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    int count = Math.min(Cdb.u16(list, 2), list.length - 8) / 16;
    if (count > MAX_UNMAP_DESCRIPTORS) {
      throw SenseData.invalidFieldInParameterList(2).asException();
    }
    DeviceServer device = task.device();
    // All are checked before the first takes effect: bad input changes nothing.
    long total = 0;
    for (int i = 0; i < count; i++) {
      long blocks = Cdb.u32(list, 16 + 16 * i);
      device.requireRange(Cdb.u64(list, 8 + 16 * i), blocks);
      total += blocks;
      if (total > maxUnmapBlocks(device.blockSizeBytes())) {
        throw SenseData.invalidFieldInParameterList(16 + 16 * i).asException();
      }
    }
    long stamp = device.enterShared(task);
    try {
      for (int i = 0; i < count; i++) {
        long blocks = Cdb.u32(list, 16 + 16 * i);
        if (blocks > 0) {
          long offset = Cdb.u64(list, 8 + 16 * i) << device.blockShift();
          device.logicalUnit().unmap(offset, blocks << device.blockShift());
        }
      }
    } finally {
      device.access().unlockRead(stamp);
    }
    task.changed(device);
  }

  static void prepareWriteSame10(Task task) throws ScsiException {
    prepareWriteSame(task, Cdb.u32(task.cdb, 2), Cdb.u16(task.cdb, 7), 7);
    task.transferBytes = task.device().blockSizeBytes();
    BlockCommands.requireExactData(task, 7);
  }

  static void prepareWriteSame16(Task task) throws ScsiException {
    prepareWriteSame(task, Cdb.u64(task.cdb, 2), Cdb.u32(task.cdb, 10), 10);
    boolean withoutData = Cdb.bit(task.cdb, 1, NO_DATA_OUT_BUFFER);
    task.transferBytes = withoutData ? 0 : task.device().blockSizeBytes();
    BlockCommands.requireExactData(task, 10);
  }

  private static void prepareWriteSame(Task task, long lba, long blocks, int lengthField)
      throws ScsiException {
    DeviceServer device = task.device();
    device.requireWritable();
    // No protection information, no anchored blocks (SBC-3 4.7.4.4).
    if (Cdb.bit(task.cdb, 1, 0xe0 | ANCHOR)) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
    task.range(lba, blocks);
    // WSNZ: zero does not mean "to the end" with us; programs that count on it mostly do not know.
    if (blocks == 0 || blocks > maxWriteSameBlocks(device.blockSizeBytes())) {
      throw SenseData.invalidFieldInCdb(lengthField).asException();
    }
  }

  static void writeSame(Task task) throws ScsiException, IOException {
    DeviceServer device = task.device();
    byte[] block = task.parameterList();
    long length = task.blocks << device.blockShift();
    boolean zero = allZero(block);
    long stamp = device.enterShared(task);
    try {
      // With data that is not zero, UNMAP may be ignored, and the data is written (SBC-3 5.49).
      if (zero && Cdb.bit(task.cdb, 1, UNMAP)) {
        device.logicalUnit().unmap(task.offsetBytes(), length);
      } else if (zero) {
        device.logicalUnit().writeZeroes(task.offsetBytes(), length);
      } else {
        repeat(device, task.offsetBytes(), length, block);
      }
    } finally {
      device.access().unlockRead(stamp);
    }
    task.changed(device);
  }

  private static boolean allZero(byte[] block) {
    for (byte b : block) {
      if (b != 0) {
        return false;
      }
    }
    return true;
  }

  private static void repeat(DeviceServer device, long offset, long length, byte[] block)
      throws IOException {
    ByteBuffer pattern = ByteBuffer.allocate((int) Math.min(PATTERN_BYTES, length));
    while (pattern.hasRemaining()) {
      pattern.put(block);
    }
    long done = 0;
    while (done < length) {
      pattern.clear().limit((int) Math.min(pattern.capacity(), length - done));
      int bytes = pattern.remaining();
      device.logicalUnit().write(offset + done, pattern);
      if (pattern.hasRemaining()) {
        throw new IOException("short write: " + pattern.remaining() + " bytes left");
      }
      done += bytes;
    }
  }

  static void getLbaStatus(Task task) throws ScsiException, IOException {
    DeviceServer device = task.device();
    long lba = Cdb.u64(task.cdb, 2);
    task.transferBytes = Cdb.u32(task.cdb, 10);
    if (lba < 0 || lba >= device.blockCount()) {
      throw SenseData.LBA_OUT_OF_RANGE.asException();
    }
    long wanted = Math.clamp((task.transferBytes - 8) / 16, 1, MAX_STATUS_DESCRIPTORS);
    ByteBuffer reply = ByteBuffer.allocate(8 + 16 * (int) wanted);
    reply.position(8);
    long at = lba;
    long stamp = device.enterShared(task);
    try {
      for (int i = 0; i < wanted && at < device.blockCount(); i++) {
        LogicalUnit.Extent extent = device.logicalUnit().extentAt(at << device.blockShift());
        long blocks = Math.max(1, extent.lengthBytes() >>> device.blockShift());
        blocks = Math.min(Math.min(blocks, device.blockCount() - at), 0xffffffffL);
        reply.putLong(at).putInt((int) blocks).put((byte) (extent.mapped() ? 0 : 1));
        reply.put((byte) 0).putShort((short) 0);
        at += blocks;
      }
    } finally {
      device.access().unlockRead(stamp);
    }
    // PARAMETER DATA LENGTH counts what follows it.
    reply.putInt(0, reply.position() - 4);
    byte[] bytes = new byte[reply.position()];
    reply.get(0, bytes);
    task.reply(bytes);
  }
}
