package io.malleable.iscsi;

/**
 * Ends a command without any status, because it was aborted before it was done. The initiator knows
 * already, or learns of it by a unit attention (SAM-5 5.6, with TAS 0).
 */
final class TaskAbortedException extends ScsiException {
  TaskAbortedException() {
    super(SenseData.NO_SENSE);
  }
}
