package io.malleable.iscsi;

import java.nio.ByteBuffer;

/**
 * Why a command failed (SPC-4 4.5).
 *
 * @param key sense key
 * @param code additional sense code and qualifier, as {@code 0xAAQQ}
 * @param information content of the INFORMATION field, or {@link #NO_INFORMATION}
 * @param fieldPointer byte of the CDB or parameter list that is wrong, or {@link #NO_FIELD}; with
 *     {@link #IN_CDB} set, it counts in the CDB
 */
record SenseData(int key, int code, long information, int fieldPointer) {
  static final long NO_INFORMATION = -1;
  static final int NO_FIELD = -1;
  static final int IN_CDB = 0x10000;

  static final int NO_SENSE_KEY = 0x0;
  static final int NOT_READY = 0x2;
  static final int MEDIUM_ERROR = 0x3;
  static final int HARDWARE_ERROR = 0x4;
  static final int ILLEGAL_REQUEST = 0x5;
  static final int UNIT_ATTENTION = 0x6;
  static final int DATA_PROTECT = 0x7;
  static final int COPY_ABORTED = 0xa;
  static final int ABORTED_COMMAND = 0xb;
  static final int MISCOMPARE = 0xe;

  static final int FIXED_LENGTH_BYTES = 18;

  static final SenseData NO_SENSE = new SenseData(NO_SENSE_KEY, 0x0000);
  static final SenseData INVALID_OPCODE = new SenseData(ILLEGAL_REQUEST, 0x2000);
  static final SenseData LBA_OUT_OF_RANGE = new SenseData(ILLEGAL_REQUEST, 0x2100);
  static final SenseData INVALID_MESSAGE = new SenseData(ILLEGAL_REQUEST, 0x4900);
  static final SenseData LUN_NOT_SUPPORTED = new SenseData(ILLEGAL_REQUEST, 0x2500);
  static final SenseData PARAMETER_LIST_LENGTH = new SenseData(ILLEGAL_REQUEST, 0x1a00);
  static final SenseData WRITE_PROTECTED = new SenseData(DATA_PROTECT, 0x2700);
  static final SenseData SPACE_ALLOCATION_FAILED = new SenseData(DATA_PROTECT, 0x2707);
  static final SenseData UNRECOVERED_READ = new SenseData(MEDIUM_ERROR, 0x1100);
  static final SenseData WRITE_ERROR = new SenseData(MEDIUM_ERROR, 0x0c00);

  /** Protocol service CRC error, which RFC 7143 11.4.7.2 prescribes for data that got lost. */
  static final SenseData DATA_LOST = new SenseData(ABORTED_COMMAND, 0x4705);

  static final SenseData INTERNAL_FAILURE = new SenseData(HARDWARE_ERROR, 0x4400);
  static final SenseData INSUFFICIENT_RESOURCES = new SenseData(ILLEGAL_REQUEST, 0x5503);

  SenseData(int key, int code) {
    this(key, code, NO_INFORMATION, NO_FIELD);
  }

  static SenseData invalidFieldInCdb(int byteOffset) {
    return new SenseData(ILLEGAL_REQUEST, 0x2400, NO_INFORMATION, IN_CDB | byteOffset);
  }

  static SenseData invalidFieldInParameterList(int byteOffset) {
    return new SenseData(ILLEGAL_REQUEST, 0x2600, NO_INFORMATION, byteOffset);
  }

  static SenseData miscompare(long information) {
    return new SenseData(MISCOMPARE, 0x1d00, information, NO_FIELD);
  }

  ScsiException asException() {
    return new ScsiException(this);
  }

  byte[] encode(boolean descriptorFormat) {
    return descriptorFormat ? encodeDescriptors() : encodeFixed();
  }

  private byte[] encodeFixed() {
    ByteBuffer sense = ByteBuffer.allocate(FIXED_LENGTH_BYTES);
    boolean fits = information != NO_INFORMATION && information >>> 32 == 0;
    sense.put(0, (byte) (fits ? 0xf0 : 0x70));
    sense.put(2, (byte) key);
    sense.putInt(3, fits ? (int) information : 0);
    sense.put(7, (byte) (FIXED_LENGTH_BYTES - 8));
    sense.putShort(12, (short) code);
    if (fieldPointer != NO_FIELD) {
      sense.put(15, (byte) ((fieldPointer & IN_CDB) != 0 ? 0xc0 : 0x80));
      sense.putShort(16, (short) fieldPointer);
    }
    return sense.array();
  }

  private byte[] encodeDescriptors() {
    int informationBytes = information == NO_INFORMATION ? 0 : 12;
    int fieldBytes = fieldPointer == NO_FIELD ? 0 : 8;
    ByteBuffer sense = ByteBuffer.allocate(8 + informationBytes + fieldBytes);
    sense.put((byte) 0x72).put((byte) key).putShort((short) code);
    sense.position(7);
    sense.put((byte) (informationBytes + fieldBytes));
    if (informationBytes > 0) {
      sense.put((byte) 0x00).put((byte) 0x0a).put((byte) 0x80).put((byte) 0).putLong(information);
    }
    if (fieldBytes > 0) {
      sense.put((byte) 0x02).put((byte) 0x06).putShort((short) 0);
      sense.put((byte) ((fieldPointer & IN_CDB) != 0 ? 0xc0 : 0x80));
      sense.putShort((short) fieldPointer).put((byte) 0);
    }
    return sense.array();
  }
}
