package io.malleable.iscsi;

/**
 * Conditions that an initiator is told of once, before its next command (SAM-5 5.14), in order of
 * precedence.
 */
enum UnitAttention {
  POWER_ON(0x2900, 1 << 0),
  DEVICE_RESET(0x2903, 1 << 1),
  COMMANDS_CLEARED(0x2f00, 1 << 2),
  MODE_PARAMETERS_CHANGED(0x2a01, 1 << 3),
  RESERVATIONS_PREEMPTED(0x2a03, 1 << 4),
  RESERVATIONS_RELEASED(0x2a04, 1 << 5),
  REGISTRATIONS_PREEMPTED(0x2a05, 1 << 6),
  CAPACITY_DATA_CHANGED(0x2a09, 1 << 7),
  REPORTED_LUNS_DATA_CHANGED(0x3f0e, 1 << 8);

  private static final UnitAttention[] ALL = values();

  private final int code;
  private final int bit;

  UnitAttention(int code, int bit) {
    this.code = code;
    this.bit = bit;
  }

  /** One bit each, the most important the lowest, so that a set of them fits an int. */
  int bit() {
    return bit;
  }

  SenseData sense() {
    return new SenseData(SenseData.UNIT_ATTENTION, code);
  }

  /** The most important of a set that is not empty. */
  static UnitAttention first(int pendingBits) {
    for (UnitAttention attention : ALL) {
      if ((pendingBits & attention.bit) != 0) {
        return attention;
      }
    }
    throw new IllegalArgumentException("no condition in " + pendingBits);
  }
}
