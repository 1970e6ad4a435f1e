package io.malleable.iscsi;

/** Ends a command with RESERVATION CONFLICT, which carries no sense data (SAM-5 5.3.1). */
final class ReservationConflictException extends ScsiException {
  ReservationConflictException() {
    super(SenseData.NO_SENSE);
  }

  @Override
  int status() {
    return ScsiStatus.RESERVATION_CONFLICT;
  }
}
