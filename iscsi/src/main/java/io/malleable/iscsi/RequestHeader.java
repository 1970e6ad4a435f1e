package io.malleable.iscsi;

import java.nio.ByteBuffer;

/**
 * A view of one received header; reused for every PDU of a connection, valid until the next one is
 * read. Owned by the connection thread.
 */
final class RequestHeader {
  private ByteBuffer buffer;
  private int offset;

  RequestHeader() {
    buffer = ByteBuffer.allocate(Bhs.LENGTH_BYTES);
  }

  void wrap(ByteBuffer source, int headerOffset) {
    buffer = source;
    offset = headerOffset;
  }

  int opcode() {
    return buffer.get(offset) & 0x3f;
  }

  boolean immediate() {
    return (buffer.get(offset) & Bhs.IMMEDIATE_BIT) != 0;
  }

  int flags() {
    return buffer.get(offset + Bhs.FLAGS_OFFSET) & 0xff;
  }

  boolean finalBit() {
    return (buffer.get(offset + Bhs.FLAGS_OFFSET) & Bhs.FINAL_BIT) != 0;
  }

  int byteAt(int fieldOffset) {
    return buffer.get(offset + fieldOffset) & 0xff;
  }

  int shortAt(int fieldOffset) {
    return buffer.getShort(offset + fieldOffset) & 0xffff;
  }

  int intAt(int fieldOffset) {
    return buffer.getInt(offset + fieldOffset);
  }

  long longAt(int fieldOffset) {
    return buffer.getLong(offset + fieldOffset);
  }

  int totalAhsLengthBytes() {
    return (buffer.get(offset + Bhs.TOTAL_AHS_LENGTH_OFFSET) & 0xff) * 4;
  }

  int dataSegmentLength() {
    return buffer.getInt(offset + Bhs.DATA_SEGMENT_LENGTH_OFFSET) & 0xffffff;
  }

  long lun() {
    return buffer.getLong(offset + Bhs.LUN_OFFSET);
  }

  int initiatorTaskTag() {
    return buffer.getInt(offset + Bhs.INITIATOR_TASK_TAG_OFFSET);
  }

  int targetTransferTag() {
    return buffer.getInt(offset + Bhs.TARGET_TRANSFER_TAG_OFFSET);
  }

  int cmdSn() {
    return buffer.getInt(offset + Bhs.CMD_SN_OFFSET);
  }

  int expStatSn() {
    return buffer.getInt(offset + Bhs.EXP_STAT_SN_OFFSET);
  }

  void copyCdb(byte[] cdb) {
    buffer.get(offset + Bhs.CDB_OFFSET, cdb, 0, Bhs.CDB_LENGTH_BYTES);
  }

  /** The whole header, for a Reject that must return it (RFC 7143 11.17.5). */
  byte[] copy() {
    byte[] bytes = new byte[Bhs.LENGTH_BYTES];
    buffer.get(offset, bytes);
    return bytes;
  }
}
