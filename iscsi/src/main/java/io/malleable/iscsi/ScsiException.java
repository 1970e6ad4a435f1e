package io.malleable.iscsi;

/**
 * Ends a command with a status other than GOOD. Has no stack trace: a peer can cause it at will.
 */
sealed class ScsiException extends Exception
    permits BusyException, ReservationConflictException, TaskAbortedException {
  private final transient SenseData sense;

  ScsiException(SenseData sense) {
    super(
        "sense key " + sense.key() + " code " + Integer.toHexString(sense.code()),
        null,
        false,
        false);
    this.sense = sense;
  }

  int status() {
    return ScsiStatus.CHECK_CONDITION;
  }

  /** Sent only with CHECK CONDITION. */
  SenseData sense() {
    return sense;
  }
}
