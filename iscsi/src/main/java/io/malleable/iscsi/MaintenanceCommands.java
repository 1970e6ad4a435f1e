package io.malleable.iscsi;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.SortedSet;
import org.jspecify.annotations.Nullable;

/** Reports of what the unit can do and how its ports stand (SPC-4 6.35 to 6.37). Stateless. */
final class MaintenanceCommands {
  private static final int RCTD = 0x80;

  /** SPC-4 table 303: CDB usage is valid and as the standard says. */
  private static final int SUPPORTED_BY_STANDARD = 0x03;

  private static final int NOT_SUPPORTED = 0x01;
  private static final int SERVICE_ACTION_VALID = 0x01;
  private static final int TIMEOUTS_PRESENT = 0x02;
  private static final int TIMEOUTS_BYTES = 12;

  private MaintenanceCommands() {}

  static void reportOpcodes(Task task) throws ScsiException {
    task.transferBytes = Cdb.u32(task.cdb, 6);
    int options = Cdb.u8(task.cdb, 2) & 0x07;
    boolean timeouts = Cdb.bit(task.cdb, 2, RCTD);
    int opcode = Cdb.u8(task.cdb, 3);
    int serviceAction = Cdb.u16(task.cdb, 4);
    List<CommandSpec> variants = CommandSet.variants(opcode);
    boolean hasServiceActions =
        !variants.isEmpty() && variants.getFirst().serviceAction() != CommandSpec.NO_SERVICE_ACTION;
    switch (options) {
      case 0 -> task.reply(allCommands(timeouts));
      case 1 -> {
        if (hasServiceActions) {
          throw SenseData.invalidFieldInCdb(2).asException();
        }
        task.reply(oneCommand(CommandSet.find(opcode, 0), timeouts));
      }
      case 2 -> {
        if (!variants.isEmpty() && !hasServiceActions) {
          throw SenseData.invalidFieldInCdb(2).asException();
        }
        task.reply(oneCommand(CommandSet.find(opcode, serviceAction), timeouts));
      }
      case 3 ->
          task.reply(
              oneCommand(CommandSet.find(opcode, hasServiceActions ? serviceAction : 0), timeouts));
      default -> throw SenseData.invalidFieldInCdb(2).asException();
    }
  }

  private static byte[] allCommands(boolean timeouts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (CommandSpec spec : CommandSet.all()) {
      ByteBuffer descriptor = ByteBuffer.allocate(8 + (timeouts ? TIMEOUTS_BYTES : 0));
      boolean hasServiceAction = spec.serviceAction() != CommandSpec.NO_SERVICE_ACTION;
      descriptor.put(0, (byte) spec.opcode());
      descriptor.putShort(2, (short) (hasServiceAction ? spec.serviceAction() : 0));
      descriptor.put(
          5,
          (byte)
              ((hasServiceAction ? SERVICE_ACTION_VALID : 0) | (timeouts ? TIMEOUTS_PRESENT : 0)));
      descriptor.putShort(6, (short) spec.usage().length);
      if (timeouts) {
        descriptor.putShort(8, (short) (TIMEOUTS_BYTES - 2));
      }
      out.writeBytes(descriptor.array());
    }
    return ByteBuffer.allocate(4 + out.size()).putInt(out.size()).put(out.toByteArray()).array();
  }

  private static byte[] oneCommand(@Nullable CommandSpec spec, boolean timeouts) {
    if (spec == null) {
      return new byte[] {0, NOT_SUPPORTED, 0, 0};
    }
    int length = 4 + spec.usage().length + (timeouts ? TIMEOUTS_BYTES : 0);
    ByteBuffer reply = ByteBuffer.allocate(length);
    reply.put((byte) 0).put((byte) (SUPPORTED_BY_STANDARD | (timeouts ? 0x80 : 0)));
    reply.putShort((short) spec.usage().length).put(spec.usage());
    if (timeouts) {
      reply.putShort((short) (TIMEOUTS_BYTES - 2));
    }
    return reply.array();
  }

  static void reportTaskManagement(Task task) {
    task.transferBytes = Cdb.u32(task.cdb, 6);
    // ATS, ATSS, CTSS, LURS, TRS.
    task.reply(new byte[] {(byte) 0xda, 0, 0, 0});
  }

  /** REPORT TARGET PORT GROUPS (SPC-4 6.37): one group per portal group, all active. */
  static void reportTargetPortGroups(Task task) throws ScsiException {
    task.transferBytes = Cdb.u32(task.cdb, 6);
    int format = Cdb.u8(task.cdb, 1) >> 5;
    if (format > 1) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
    SortedSet<Integer> groups = task.unit().target().portGroups();
    int headerBytes = format == 1 ? 8 : 4;
    ByteBuffer reply = ByteBuffer.allocate(headerBytes + 12 * groups.size());
    reply.putInt(reply.capacity() - 4);
    if (format == 1) {
      reply.put((byte) 0x10).put((byte) 0).putShort((short) 0);
    }
    for (int tag : groups) {
      // Active/optimized, which is also the only state that can be.
      reply.put((byte) 0).put((byte) 0x01).putShort((short) tag);
      reply.putShort((short) 0).put((byte) 0).put((byte) 1);
      reply.putShort((short) 0).putShort((short) tag);
    }
    task.reply(reply.array());
  }
}
