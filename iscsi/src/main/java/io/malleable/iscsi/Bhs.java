package io.malleable.iscsi;

import java.nio.ByteBuffer;

/**
 * The basic header segment of a PDU (RFC 7143 11.2.1): 48 bytes, big endian.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-----------+-+-------------+-------------------------------+  0
 * |.|I|  opcode   |F|        opcode-specific                      |
 * +---------------+-+-------------+-------------------------------+  4
 * | TotalAHSLength|             DataSegmentLength                 |
 * +---------------+-----------------------------------------------+  8
 * |                    LUN or opcode-specific                     |
 * +---------------------------------------------------------------+ 16
 * |                       Initiator Task Tag                      |
 * +---------------------------------------------------------------+ 20
 * |                        opcode-specific                        |
 * +---------------------------------------------------------------+ 48
 * </pre>
 */
final class Bhs {
  static final int LENGTH_BYTES = 48;

  /** An initiator or target task tag that refers to no task (RFC 7143 11.2.1.8). */
  static final int RESERVED_TAG = 0xffffffff;

  static final int OPCODE_OFFSET = 0;
  static final int FLAGS_OFFSET = 1;
  static final int RESPONSE_OFFSET = 2;
  static final int STATUS_OFFSET = 3;
  static final int TOTAL_AHS_LENGTH_OFFSET = 4;
  static final int DATA_SEGMENT_LENGTH_OFFSET = 4;
  static final int LUN_OFFSET = 8;
  static final int INITIATOR_TASK_TAG_OFFSET = 16;
  static final int TARGET_TRANSFER_TAG_OFFSET = 20;

  // From the initiator.
  static final int EXPECTED_DATA_TRANSFER_LENGTH_OFFSET = 20;
  static final int REFERENCED_TASK_TAG_OFFSET = 20;
  static final int CMD_SN_OFFSET = 24;
  static final int EXP_STAT_SN_OFFSET = 28;
  static final int CDB_OFFSET = 32;
  static final int CDB_LENGTH_BYTES = 16;

  // From the target.
  static final int STAT_SN_OFFSET = 24;
  static final int EXP_CMD_SN_OFFSET = 28;
  static final int MAX_CMD_SN_OFFSET = 32;
  static final int DATA_SN_OFFSET = 36;
  static final int BUFFER_OFFSET_OFFSET = 40;
  static final int RESIDUAL_COUNT_OFFSET = 44;

  // Login (RFC 7143 11.12, 11.13).
  static final int ISID_OFFSET = 8;
  static final int TSIH_OFFSET = 14;
  static final int CID_OFFSET = 20;
  static final int LOGIN_STATUS_OFFSET = 36;

  static final int IMMEDIATE_BIT = 0x40;
  static final int FINAL_BIT = 0x80;
  static final int CONTINUE_BIT = 0x40;

  // Data-In (RFC 7143 11.7.1) and SCSI Response (11.4.1) flags.
  static final int OVERFLOW_BIT = 0x04;
  static final int UNDERFLOW_BIT = 0x02;
  static final int STATUS_BIT = 0x01;

  // SCSI Command (RFC 7143 11.3.1) flags.
  static final int READ_BIT = 0x40;
  static final int WRITE_BIT = 0x20;
  static final int TASK_ATTRIBUTE_MASK = 0x07;

  private Bhs() {}

  /** The bytes that a data segment occupies on the wire: padded to a multiple of four. */
  static int padded(int lengthBytes) {
    return (lengthBytes + 3) & ~3;
  }

  static void putDataSegmentLength(ByteBuffer buffer, int headerOffset, int lengthBytes) {
    // TotalAHSLength shares the word and is always zero from us.
    buffer.putInt(headerOffset + DATA_SEGMENT_LENGTH_OFFSET, lengthBytes);
  }
}
