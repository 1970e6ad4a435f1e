package io.malleable.app;

import java.nio.ByteBuffer;

/** Commands of SPC and SBC, as an initiator sends them. */
final class Cdb {
  private static final int READ_16 = 0x88;
  private static final int COMPARE_AND_WRITE = 0x89;
  private static final int WRITE_16 = 0x8a;
  private static final int SYNCHRONIZE_CACHE_16 = 0x91;
  private static final int WRITE_SAME_16 = 0x93;
  private static final int UNMAP = 0x42;
  private static final int PERSISTENT_RESERVE_OUT = 0x5f;

  private static final int REGISTER = 0;
  private static final int RESERVE = 1;
  private static final int EXCLUSIVE_ACCESS = 3;
  private static final int RESERVATION_BYTES = 24;

  /** Persist through power loss. */
  private static final int APTPL = 0x01;

  /** The UNMAP bit of WRITE SAME. */
  private static final int MAY_UNMAP = 0x08;

  private static final int UNMAP_DESCRIPTOR_BYTES = 16;
  private static final int UNMAP_LIST_BYTES = 8 + UNMAP_DESCRIPTOR_BYTES;

  private Cdb() {}

  static byte[] testUnitReady() {
    return new byte[16];
  }

  static byte[] read(long lba, int blocks) {
    return addressed(READ_16, lba, blocks);
  }

  static byte[] write(long lba, int blocks) {
    return addressed(WRITE_16, lba, blocks);
  }

  /** Of one block of data, over all of these. */
  static byte[] writeSame(long lba, int blocks) {
    return addressed(WRITE_SAME_16, lba, blocks);
  }

  /** The same, which a target may do by unmapping. */
  static byte[] writeSameOrUnmap(long lba, int blocks) {
    byte[] cdb = addressed(WRITE_SAME_16, lba, blocks);
    cdb[1] = MAY_UNMAP;
    return cdb;
  }

  /** Its data are the expected blocks and then those to write. */
  static byte[] compareAndWrite(long lba, int blocks) {
    return ByteBuffer.allocate(16)
        .put(0, (byte) COMPARE_AND_WRITE)
        .putLong(2, lba)
        .put(13, (byte) blocks)
        .array();
  }

  /** Of the whole unit. */
  static byte[] synchronizeCache() {
    return addressed(SYNCHRONIZE_CACHE_16, 0, 0);
  }

  /** Its data are {@link #unmapList}. */
  static byte[] unmap() {
    return ByteBuffer.allocate(16)
        .put(0, (byte) UNMAP)
        .putShort(7, (short) UNMAP_LIST_BYTES)
        .array();
  }

  static byte[] unmapList(long lba, int blocks) {
    return ByteBuffer.allocate(UNMAP_LIST_BYTES)
        .putShort(0, (short) (UNMAP_LIST_BYTES - 2))
        .putShort(2, (short) UNMAP_DESCRIPTOR_BYTES)
        .putLong(8, lba)
        .putInt(16, blocks)
        .array();
  }

  /** Its data are {@link #reservationKeys}. */
  static byte[] registerKey() {
    return persistentReserveOut(REGISTER, 0);
  }

  /** For exclusive access; its data are {@link #reservationKeys}. */
  static byte[] reserve() {
    return persistentReserveOut(RESERVE, EXCLUSIVE_ACCESS);
  }

  /** The key that is registered, and the one to register, which a power loss does not end. */
  static byte[] reservationKeys(long key, long newKey) {
    return ByteBuffer.allocate(RESERVATION_BYTES)
        .putLong(0, key)
        .putLong(8, newKey)
        .put(20, (byte) APTPL)
        .array();
  }

  private static byte[] persistentReserveOut(int serviceAction, int type) {
    return ByteBuffer.allocate(16)
        .put(0, (byte) PERSISTENT_RESERVE_OUT)
        .put(1, (byte) serviceAction)
        .put(2, (byte) type)
        .putInt(5, RESERVATION_BYTES)
        .array();
  }

  /** Of that many descriptors; its data are {@link #unmapList(long, int, long, int)}. */
  static byte[] unmap(int descriptors) {
    return ByteBuffer.allocate(16)
        .put(0, (byte) UNMAP)
        .putShort(7, (short) (8 + descriptors * UNMAP_DESCRIPTOR_BYTES))
        .array();
  }

  /** Descriptors of ranges of the same length, each so many blocks behind the one before. */
  static byte[] unmapList(long lba, int blocks, long stride, int descriptors) {
    int bytes = descriptors * UNMAP_DESCRIPTOR_BYTES;
    ByteBuffer list =
        ByteBuffer.allocate(8 + bytes).putShort(0, (short) (6 + bytes)).putShort(2, (short) bytes);
    for (int i = 0; i < descriptors; i++) {
      list.putLong(8 + i * UNMAP_DESCRIPTOR_BYTES, lba + i * stride)
          .putInt(16 + i * UNMAP_DESCRIPTOR_BYTES, blocks);
    }
    return list.array();
  }

  private static byte[] addressed(int operationCode, long lba, int blocks) {
    return ByteBuffer.allocate(16)
        .put(0, (byte) operationCode)
        .putLong(2, lba)
        .putInt(10, blocks)
        .array();
  }
}
