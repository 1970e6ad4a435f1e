package io.malleable.iscsi;

import java.io.IOException;

/** Commands to a LUN that has no unit (SPC-4 4.2.4): three must be answered all the same. */
final class MissingUnit {
  private MissingUnit() {}

  static void answer(Task task, Session session, PduWriter out) throws ScsiException, IOException {
    byte[] reply =
        switch (task.cdb[0] & 0xff) {
          case 0x12 -> {
            if (Cdb.bit(task.cdb, 1, 0x01)) {
              throw SenseData.LUN_NOT_SUPPORTED.asException();
            }
            task.transferBytes = Cdb.u16(task.cdb, 3);
            yield InquiryData.standardOfMissingUnit();
          }
          case 0xa0 -> {
            Target target = session.target();
            if (target == null) {
              throw SenseData.LUN_NOT_SUPPORTED.asException();
            }
            yield PrimaryCommands.reportLuns(task, target);
          }
          case 0x03 -> {
            task.transferBytes = Cdb.u8(task.cdb, 4);
            yield SenseData.LUN_NOT_SUPPORTED.encode(Cdb.bit(task.cdb, 1, 0x01));
          }
          default -> throw SenseData.LUN_NOT_SUPPORTED.asException();
        };
    Replies.parameterData(out, task, reply, session.parameters());
  }
}
