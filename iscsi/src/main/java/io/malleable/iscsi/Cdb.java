package io.malleable.iscsi;

/** Big-endian fields of command descriptor blocks and parameter lists. */
final class Cdb {
  private Cdb() {}

  static int u8(byte[] bytes, int at) {
    return bytes[at] & 0xff;
  }

  static int u16(byte[] bytes, int at) {
    return (u8(bytes, at) << 8) | u8(bytes, at + 1);
  }

  static int u24(byte[] bytes, int at) {
    return (u16(bytes, at) << 8) | u8(bytes, at + 2);
  }

  static long u32(byte[] bytes, int at) {
    return ((long) u16(bytes, at) << 16) | u16(bytes, at + 2);
  }

  static long u64(byte[] bytes, int at) {
    return (u32(bytes, at) << 32) | u32(bytes, at + 4);
  }

  static boolean bit(byte[] bytes, int at, int mask) {
    return (bytes[at] & mask) != 0;
  }
}
