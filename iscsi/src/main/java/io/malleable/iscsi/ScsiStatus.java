package io.malleable.iscsi;

/** SAM-5 5.3.1. */
final class ScsiStatus {
  static final int GOOD = 0x00;
  static final int CHECK_CONDITION = 0x02;
  static final int BUSY = 0x08;
  static final int RESERVATION_CONFLICT = 0x18;
  static final int TASK_SET_FULL = 0x28;

  private ScsiStatus() {}
}
