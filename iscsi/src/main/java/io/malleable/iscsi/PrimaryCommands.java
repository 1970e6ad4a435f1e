package io.malleable.iscsi;

import java.nio.ByteBuffer;
import java.util.SortedSet;
import java.util.TreeSet;

/** Commands of every device type (SPC-4 6). Stateless. */
final class PrimaryCommands {
  private static final SenseData REMOVAL_PREVENTED =
      new SenseData(SenseData.ILLEGAL_REQUEST, 0x5302);

  private PrimaryCommands() {}

  static void requestSense(Task task) throws ScsiException {
    task.transferBytes = Cdb.u8(task.cdb, 4);
    UnitAttention attention = task.unit().takeAttention();
    SenseData sense = attention == null ? SenseData.NO_SENSE : attention.sense();
    task.reply(sense.encode(Cdb.bit(task.cdb, 1, 0x01)));
  }

  static void reportLuns(Task task) throws ScsiException {
    task.reply(reportLuns(task, task.unit().target()));
    task.unit().clearAttention(UnitAttention.REPORTED_LUNS_DATA_CHANGED);
  }

  static byte[] reportLuns(Task task, Target target) throws ScsiException {
    task.transferBytes = Cdb.u32(task.cdb, 6);
    int select = Cdb.u8(task.cdb, 2);
    if (select > 2) {
      throw SenseData.invalidFieldInCdb(2).asException();
    }
    if (task.transferBytes < 16) {
      throw SenseData.invalidFieldInCdb(6).asException();
    }
    // 01h asks for well-known units, of which there are none.
    SortedSet<Integer> luns = select == 1 ? new TreeSet<>() : new TreeSet<>(target.luns());
    ByteBuffer reply = ByteBuffer.allocate(8 + 8 * luns.size());
    reply.putInt(8 * luns.size()).putInt(0);
    luns.forEach(lun -> reply.putLong((long) lun << 48));
    return reply.array();
  }

  static void modeSense6(Task task) throws ScsiException {
    task.transferBytes = Cdb.u8(task.cdb, 4);
    task.device().modePages().sense6(task);
  }

  static void modeSense10(Task task) throws ScsiException {
    task.transferBytes = Cdb.u16(task.cdb, 7);
    task.device().modePages().sense10(task);
  }

  static void prepareModeSelect6(Task task) throws ScsiException {
    requirePageFormat(task);
    task.transferBytes = Cdb.u8(task.cdb, 4);
  }

  static void prepareModeSelect10(Task task) throws ScsiException {
    requirePageFormat(task);
    task.transferBytes = Cdb.u16(task.cdb, 7);
  }

  private static void requirePageFormat(Task task) throws ScsiException {
    if (!Cdb.bit(task.cdb, 1, 0x10)) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
  }

  static void modeSelect6(Task task) throws ScsiException {
    task.device().modePages().select(task, 4);
  }

  static void modeSelect10(Task task) throws ScsiException {
    task.device().modePages().select(task, 8);
  }

  /**
   * START STOP UNIT (SBC-3 5.25). Stopping makes data durable and no more: a machine that powered
   * off its boot drive must find it again at its next power-on.
   */
  static void startStop(Task task) throws ScsiException {
    int powerCondition = Cdb.u8(task.cdb, 4) >> 4;
    boolean loadEject = Cdb.bit(task.cdb, 4, 0x02);
    boolean start = Cdb.bit(task.cdb, 4, 0x01);
    if (powerCondition == 0 && loadEject) {
      // Not a removable medium; refused as such, and as prevented where it is.
      throw (task.device().removalPrevented() && !start
              ? REMOVAL_PREVENTED
              : SenseData.invalidFieldInCdb(4))
          .asException();
    }
    if (powerCondition != 0 || !start) {
      task.flushBeforeAnswer(task.device());
    }
  }

  static void preventAllow(Task task) throws ScsiException {
    int prevent = Cdb.u8(task.cdb, 4) & 0x03;
    if (prevent > 1) {
      throw SenseData.invalidFieldInCdb(4).asException();
    }
    task.unit().preventRemoval(prevent == 1);
  }

  static void reserve(Task task) throws ScsiException {
    // SPC-4 5.13.3: the two kinds of reservation exclude each other.
    if (task.device().reservations().anyRegistration() || !task.device().reserve(task.unit())) {
      throw new ReservationConflictException();
    }
  }

  static void release(Task task) throws ScsiException {
    // With CRH 0, RELEASE conflicts as RESERVE does while there are registrations.
    if (task.device().reservations().anyRegistration()) {
      throw new ReservationConflictException();
    }
    task.device().release(task.unit());
  }
}
