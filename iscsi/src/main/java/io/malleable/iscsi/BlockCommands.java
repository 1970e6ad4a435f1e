package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Commands that move blocks between initiator and medium (SBC-3 5). Stateless. */
final class BlockCommands {
  private static final int FUA = 0x08;
  private static final int SCRATCH_BYTES = 64 * 1024;

  private BlockCommands() {}

  static void prepareRead6(Task task) throws ScsiException {
    prepare6(task);
  }

  static void prepareWrite6(Task task) throws ScsiException {
    task.device().requireWritable();
    prepare6(task);
  }

  private static void prepare6(Task task) throws ScsiException {
    int blocks = Cdb.u8(task.cdb, 4);
    // SBC-3 5.7: zero means 256.
    task.range(Cdb.u24(task.cdb, 1) & 0x1fffff, blocks == 0 ? 256 : blocks);
    task.transferBytes = task.blocks << task.device().blockShift();
  }

  static void prepareRead10(Task task) throws ScsiException {
    requireNoProtection(task);
    addressed10(task);
    transferAll(task, 7);
  }

  static void prepareRead12(Task task) throws ScsiException {
    requireNoProtection(task);
    addressed12(task);
    transferAll(task, 6);
  }

  static void prepareRead16(Task task) throws ScsiException {
    requireNoProtection(task);
    addressed16(task);
    transferAll(task, 10);
  }

  static void prepareWrite10(Task task) throws ScsiException {
    task.device().requireWritable();
    prepareRead10(task);
  }

  static void prepareWrite12(Task task) throws ScsiException {
    task.device().requireWritable();
    prepareRead12(task);
  }

  static void prepareWrite16(Task task) throws ScsiException {
    task.device().requireWritable();
    prepareRead16(task);
  }

  static void prepareVerify10(Task task) throws ScsiException {
    requireNoProtection(task);
    addressed10(task);
    transferByByteCheck(task, 7);
  }

  static void prepareVerify12(Task task) throws ScsiException {
    requireNoProtection(task);
    addressed12(task);
    transferByByteCheck(task, 6);
  }

  static void prepareVerify16(Task task) throws ScsiException {
    requireNoProtection(task);
    addressed16(task);
    transferByByteCheck(task, 10);
  }

  /** WRITE AND VERIFY always brings data; BYTCHK says only how to verify. */
  static void prepareWriteAndVerify10(Task task) throws ScsiException {
    prepareWrite10(task);
    requireWriteByteCheck(task);
  }

  static void prepareWriteAndVerify12(Task task) throws ScsiException {
    prepareWrite12(task);
    requireWriteByteCheck(task);
  }

  static void prepareWriteAndVerify16(Task task) throws ScsiException {
    prepareWrite16(task);
    requireWriteByteCheck(task);
  }

  /** WRITE ATOMIC(16) (SBC-4 5.48): only as far as the store can keep the promise. */
  static void prepareWriteAtomic16(Task task) throws ScsiException {
    DeviceServer device = task.device();
    device.requireWritable();
    requireNoProtection(task);
    if (device.logicalUnit().atomicWriteBytes() == 0) {
      throw SenseData.INVALID_OPCODE.asException();
    }
    // No atomic boundary but that of the command.
    if (Cdb.u16(task.cdb, 10) != 0) {
      throw SenseData.invalidFieldInCdb(10).asException();
    }
    int blocks = Cdb.u16(task.cdb, 12);
    task.range(Cdb.u64(task.cdb, 2), blocks);
    task.transferBytes = task.blocks << device.blockShift();
    if (task.transferBytes > maxAtomicBytes(device)) {
      throw SenseData.invalidFieldInCdb(12).asException();
    }
    requireExactData(task, 12);
  }

  /** All of it must be here before the store sees it. */
  static long maxAtomicBytes(DeviceServer device) {
    return Math.min(device.logicalUnit().atomicWriteBytes(), BufferPool.MAX_SEGMENT_BYTES);
  }

  static void writeAtomic(Task task) throws ScsiException, IOException {
    if (task.transferBytes == 0) {
      return;
    }
    DeviceServer device = task.device();
    int first = task.dataStart;
    ByteBuffer data = task.data().clear();
    data.limit(first + (int) task.transferBytes).position(first);
    device.enterAtomic(task);
    try {
      device.logicalUnit().writeAtomically(task.offsetBytes(), data);
      requireDrained(data);
    } finally {
      device.exitAtomic();
    }
    data.clear();
    finishWrite(task);
  }

  /** PRE-FETCH and SYNCHRONIZE CACHE: a range without data. */
  static void prepareRange10(Task task) throws ScsiException {
    addressed10(task);
  }

  static void prepareRange16(Task task) throws ScsiException {
    addressed16(task);
  }

  static void prepareCompareAndWrite(Task task) throws ScsiException {
    task.device().requireWritable();
    requireNoProtection(task);
    int blocks = Cdb.u8(task.cdb, 13);
    if (blocks > maxCompareAndWriteBlocks(task.device().blockSizeBytes())) {
      throw SenseData.invalidFieldInCdb(13).asException();
    }
    task.range(Cdb.u64(task.cdb, 2), blocks);
    task.transferBytes = 2 * (task.blocks << task.device().blockShift());
    requireExactData(task, 13);
  }

  /** Part of a comparison, or of a pattern, is no use: nothing is changed then. */
  static void requireExactData(Task task, int lengthField) throws ScsiException {
    long expected = task.expectsWrite ? task.expectedBytes : 0;
    if (expected != task.transferBytes) {
      throw SenseData.invalidFieldInCdb(lengthField).asException();
    }
  }

  /** Verify data and write data together fit one burst; the field has eight bits. */
  static int maxCompareAndWriteBlocks(int blockSizeBytes) {
    return Math.min(255, BufferPool.MAX_SEGMENT_BYTES / 2 / blockSizeBytes);
  }

  private static void addressed10(Task task) throws ScsiException {
    task.range(Cdb.u32(task.cdb, 2), Cdb.u16(task.cdb, 7));
  }

  private static void addressed12(Task task) throws ScsiException {
    task.range(Cdb.u32(task.cdb, 2), Cdb.u32(task.cdb, 6));
  }

  private static void addressed16(Task task) throws ScsiException {
    task.range(Cdb.u64(task.cdb, 2), Cdb.u32(task.cdb, 10));
  }

  private static void transferAll(Task task, int lengthField) throws ScsiException {
    task.device().requireTransfer(task.blocks, lengthField);
    task.transferBytes = task.blocks << task.device().blockShift();
  }

  private static void transferByByteCheck(Task task, int lengthField) throws ScsiException {
    task.device().requireTransfer(task.blocks, lengthField);
    task.transferBytes =
        switch (byteCheck(task)) {
          case 0 -> 0;
          case 1 -> task.blocks << task.device().blockShift();
          case 3 -> task.blocks == 0 ? 0 : task.device().blockSizeBytes();
          default -> throw SenseData.invalidFieldInCdb(1).asException();
        };
  }

  private static int byteCheck(Task task) {
    return (Cdb.u8(task.cdb, 1) >> 1) & 0x3;
  }

  private static void requireWriteByteCheck(Task task) throws ScsiException {
    if (byteCheck(task) > 1) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
  }

  /** We have no protection information (T10 PI), so no command may ask for it. */
  private static void requireNoProtection(Task task) throws ScsiException {
    if ((Cdb.u8(task.cdb, 1) & 0xe0) != 0) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
  }

  static void write(Task task, long offsetBytes, ByteBuffer data)
      throws ScsiException, IOException {
    DeviceServer device = task.device();
    long stamp = device.enterShared(task);
    try {
      drain(device, offsetBytes, data);
    } finally {
      device.access().unlockRead(stamp);
    }
  }

  /** Writes all that there is; a store that takes less has failed. */
  static void drain(DeviceServer device, long offsetBytes, ByteBuffer data) throws IOException {
    device.logicalUnit().write(offsetBytes, data);
    requireDrained(data);
  }

  private static void requireDrained(ByteBuffer data) throws IOException {
    if (data.hasRemaining()) {
      throw new IOException("short write: " + data.remaining() + " bytes left");
    }
  }

  /**
   * Reads all that fits; a store that returns less than it was asked for has failed. That is a
   * failure to read, whatever the command wanted the data for.
   */
  static void fill(DeviceServer device, long offsetBytes, ByteBuffer destination)
      throws ScsiException {
    try {
      device.logicalUnit().read(offsetBytes, destination);
      if (destination.hasRemaining()) {
        throw new IOException("short read: " + destination.remaining() + " bytes missing");
      }
    } catch (IOException e) {
      throw Failures.whileReading(e).asException();
    }
  }

  /** WRITE(6) has no FUA bit. */
  static void finishWrite6(Task task) {
    task.changed(task.device());
  }

  static void finishWrite(Task task) {
    if (Cdb.bit(task.cdb, 1, FUA)) {
      task.flushBeforeAnswer(task.device());
    } else {
      task.changed(task.device());
    }
  }

  static void synchronizeCache(Task task) {
    task.flushBeforeAnswer(task.device());
  }

  static void nothing(Task task) {}

  static void writeAndVerify(Task task, long offsetBytes, ByteBuffer data)
      throws ScsiException, IOException {
    int position = data.position();
    write(task, offsetBytes, data);
    data.position(position);
    compare(task, offsetBytes, data);
  }

  static void finishWriteAndVerify(Task task) {
    // Verified means on the medium, not in a cache (SBC-3 5.43).
    task.flushBeforeAnswer(task.device());
  }

  static void verify(Task task, long offsetBytes, ByteBuffer data)
      throws ScsiException, IOException {
    if (byteCheck(task) != 3) {
      compare(task, offsetBytes, data);
      return;
    }
    int position = data.position();
    int block = task.device().blockSizeBytes();
    for (long i = 0; i < task.blocks; i++) {
      data.position(position);
      compare(task, task.offsetBytes() + i * block, data);
    }
  }

  /** With BYTCHK 0 only the medium is read, to find out whether it can be. */
  static void finishVerify(Task task) throws ScsiException, IOException {
    if (byteCheck(task) != 0) {
      return;
    }
    DeviceServer device = task.device();
    long offset = task.offsetBytes();
    long end = offset + (task.blocks << device.blockShift());
    ByteBuffer scratch = ByteBuffer.allocate(SCRATCH_BYTES);
    while (offset < end) {
      scratch.clear().limit((int) Math.min(SCRATCH_BYTES, end - offset));
      long stamp = device.enterShared(task);
      try {
        fill(device, offset, scratch);
      } finally {
        device.access().unlockRead(stamp);
      }
      offset += scratch.limit();
    }
  }

  private static void compare(Task task, long offsetBytes, ByteBuffer data)
      throws ScsiException, IOException {
    DeviceServer device = task.device();
    ByteBuffer medium = ByteBuffer.allocate(data.remaining());
    long stamp = device.enterShared(task);
    try {
      fill(device, offsetBytes, medium);
    } finally {
      device.access().unlockRead(stamp);
    }
    int mismatch = medium.flip().mismatch(data);
    if (mismatch >= 0) {
      throw SenseData.miscompare(offsetBytes - task.offsetBytes() + mismatch).asException();
    }
    data.position(data.limit());
  }

  static void orWrite(Task task, long offsetBytes, ByteBuffer data)
      throws ScsiException, IOException {
    DeviceServer device = task.device();
    ByteBuffer merged = ByteBuffer.allocate(data.remaining());
    long stamp = device.enterExclusive(task);
    try {
      fill(device, offsetBytes, merged);
      for (int i = 0; i < merged.capacity(); i++) {
        merged.put(i, (byte) (merged.get(i) | data.get(data.position() + i)));
      }
      drain(device, offsetBytes, merged.clear());
    } finally {
      device.access().unlockWrite(stamp);
    }
    data.position(data.limit());
  }

  /** SBC-3 5.2: the first half of the data is compared, then the second written, as one step. */
  static void compareAndWrite(Task task) throws ScsiException, IOException {
    DeviceServer device = task.device();
    int half = (int) (task.transferBytes / 2);
    if (half == 0) {
      return;
    }
    ByteBuffer data = task.data();
    int first = task.dataStart;
    ByteBuffer medium = ByteBuffer.allocate(half);
    long stamp = device.enterExclusive(task);
    try {
      fill(device, task.offsetBytes(), medium);
      int mismatch = medium.flip().mismatch(data.limit(first + half).position(first));
      if (mismatch >= 0) {
        throw SenseData.miscompare(mismatch).asException();
      }
      drain(device, task.offsetBytes(), data.limit(first + 2 * half).position(first + half));
    } finally {
      device.access().unlockWrite(stamp);
    }
    data.clear();
    finishWrite(task);
  }

  /** No grown or primary defects: the medium below remaps its own (SBC-3 5.17). */
  static void readDefectData10(Task task) {
    int requested = Cdb.u8(task.cdb, 2) & 0x1f;
    task.transferBytes = Cdb.u16(task.cdb, 7);
    task.reply(new byte[] {0, (byte) requested, 0, 0});
  }

  static void readDefectData12(Task task) {
    int requested = Cdb.u8(task.cdb, 1) & 0x1f;
    task.transferBytes = Cdb.u32(task.cdb, 6);
    task.reply(new byte[] {0, (byte) requested, 0, 0, 0, 0, 0, 0});
  }
}
