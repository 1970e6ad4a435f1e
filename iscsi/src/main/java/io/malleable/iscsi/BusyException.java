package io.malleable.iscsi;

/** Ends a command with status BUSY (SAM-5 5.3.1): the initiator sends it again. */
final class BusyException extends ScsiException {
  BusyException() {
    super(SenseData.NO_SENSE);
  }

  @Override
  int status() {
    return ScsiStatus.BUSY;
  }
}
