package io.malleable.iscsi;

import io.malleable.iscsi.CommandSpec.Phase;
import io.malleable.iscsi.CommandSpec.ReservationAccess;
import io.malleable.iscsi.CommandSpec.Sink;
import io.malleable.iscsi.CommandSpec.Step;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every command that a logical unit understands: a direct access block device of SBC-3. */
final class CommandSet {
  private static final int NONE = CommandSpec.NO_SERVICE_ACTION;
  private static final Sink NO_SINK =
      (task, offset, data) -> {
        throw new IllegalStateException("command takes no blocks");
      };

  private static final List<CommandSpec> ALL = new ArrayList<>();

  /** By opcode and service action; commands without one stand at 0 and match any. */
  private static final @Nullable CommandSpec[][] TABLE = new CommandSpec[256][];

  private static final int SERVICE_ACTIONS = 32;

  private CommandSet() {}

  static {
    primary();
    reservations();
    maintenance();
    reads();
    writes();
    verifies();
    provisioning();
    copies();
  }

  private static void primary() {
    noData(0x00, NONE, ReservationAccess.FREE, "00 00 00 00 00 00", BlockCommands::nothing);
    in(0x03, NONE, ReservationAccess.FREE, "03 01 00 00 ff 00", PrimaryCommands::requestSense);
    in(0x12, NONE, ReservationAccess.FREE, "12 01 ff ff ff 00", InquiryData::inquire);
    in(0x1a, NONE, ReservationAccess.READ, "1a 08 ff ff ff 00", PrimaryCommands::modeSense6);
    in(
        0x5a,
        NONE,
        ReservationAccess.READ,
        "5a 18 ff ff 00 00 00 ff ff 00",
        PrimaryCommands::modeSense10);
    out(
        0x15,
        "15 11 00 00 ff 00",
        PrimaryCommands::prepareModeSelect6,
        PrimaryCommands::modeSelect6);
    out(
        0x55,
        "55 11 00 00 00 00 00 ff ff 00",
        PrimaryCommands::prepareModeSelect10,
        PrimaryCommands::modeSelect10);
    noData(0x1b, NONE, ReservationAccess.WRITE, "1b 01 00 0f f7 00", PrimaryCommands::startStop);
    noData(0x1e, NONE, ReservationAccess.WRITE, "1e 00 00 00 03 00", PrimaryCommands::preventAllow);
    in(
        0xa0,
        NONE,
        ReservationAccess.FREE,
        "a0 00 ff 00 00 00 ff ff ff ff 00 00",
        PrimaryCommands::reportLuns);
  }

  private static void reservations() {
    noData(0x16, NONE, ReservationAccess.WRITE, "16 00 00 00 00 00", PrimaryCommands::reserve);
    noData(0x17, NONE, ReservationAccess.FREE, "17 00 00 00 00 00", PrimaryCommands::release);
    noData(
        0x56,
        NONE,
        ReservationAccess.WRITE,
        "56 00 00 00 00 00 00 00 00 00",
        PrimaryCommands::reserve);
    noData(
        0x57,
        NONE,
        ReservationAccess.FREE,
        "57 00 00 00 00 00 00 00 00 00",
        PrimaryCommands::release);
    for (int action = 0; action <= 3; action++) {
      String usage = "5e " + hex(action) + " 00 00 00 00 00 ff ff 00";
      in(0x5e, action, ReservationAccess.FREE, usage, CommandSet::reserveIn);
    }
    for (int action = 0; action <= 6; action++) {
      String usage = "5f " + hex(action) + " ff 00 00 ff ff ff ff 00";
      add(
          new CommandSpec(
              0x5f,
              action,
              Phase.PARAMETER_OUT,
              ReservationAccess.FREE,
              bytes(usage),
              task -> task.transferBytes = Cdb.u32(task.cdb, 5),
              NO_SINK,
              task -> task.device().reservations().reserveOut(task)));
    }
  }

  private static void reserveIn(Task task) throws ScsiException {
    task.transferBytes = Cdb.u16(task.cdb, 7);
    task.device().reservations().reserveIn(task);
  }

  private static void maintenance() {
    in(
        0xa3,
        0x0a,
        ReservationAccess.FREE,
        "a3 ea 00 00 00 00 ff ff ff ff 00 00",
        MaintenanceCommands::reportTargetPortGroups);
    in(
        0xa3,
        0x0c,
        ReservationAccess.FREE,
        "a3 0c 87 ff ff ff ff ff ff ff 00 00",
        MaintenanceCommands::reportOpcodes);
    in(
        0xa3,
        0x0d,
        ReservationAccess.FREE,
        "a3 0d 80 00 00 00 ff ff ff ff 00 00",
        MaintenanceCommands::reportTaskManagement);
  }

  private static void reads() {
    read(0x08, "08 1f ff ff ff 00", BlockCommands::prepareRead6);
    read(0x28, "28 18 ff ff ff ff 1f ff ff 00", BlockCommands::prepareRead10);
    read(0xa8, "a8 18 ff ff ff ff ff ff ff ff 1f 00", BlockCommands::prepareRead12);
    read(0x88, "88 18 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00", BlockCommands::prepareRead16);
    range(
        0x34,
        ReservationAccess.READ,
        "34 02 ff ff ff ff 1f ff ff 00",
        BlockCommands::prepareRange10,
        BlockCommands::nothing);
    range(
        0x90,
        ReservationAccess.READ,
        "90 02 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareRange16,
        BlockCommands::nothing);
    in(
        0x37,
        NONE,
        ReservationAccess.READ,
        "37 00 1f 00 00 00 00 ff ff 00",
        BlockCommands::readDefectData10);
    in(
        0xb7,
        NONE,
        ReservationAccess.READ,
        "b7 1f 00 00 00 00 ff ff ff ff 00 00",
        BlockCommands::readDefectData12);
  }

  private static void writes() {
    write(
        0x0a,
        "0a 1f ff ff ff 00",
        BlockCommands::prepareWrite6,
        BlockCommands::write,
        BlockCommands::finishWrite6);
    write(
        0x2a,
        "2a 18 ff ff ff ff 1f ff ff 00",
        BlockCommands::prepareWrite10,
        BlockCommands::write,
        BlockCommands::finishWrite);
    write(
        0xaa,
        "aa 18 ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareWrite12,
        BlockCommands::write,
        BlockCommands::finishWrite);
    write(
        0x8a,
        "8a 18 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareWrite16,
        BlockCommands::write,
        BlockCommands::finishWrite);
    write(
        0x8b,
        "8b 18 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareWrite16,
        BlockCommands::orWrite,
        BlockCommands::finishWrite);
    out(
        0x89,
        "89 18 ff ff ff ff ff ff ff ff 00 00 00 ff 1f 00",
        BlockCommands::prepareCompareAndWrite,
        BlockCommands::compareAndWrite);
    out(
        0x9c,
        "9c 18 ff ff ff ff ff ff ff ff 00 00 ff ff 1f 00",
        BlockCommands::prepareWriteAtomic16,
        BlockCommands::writeAtomic);
    range(
        0x35,
        ReservationAccess.WRITE,
        "35 02 ff ff ff ff 1f ff ff 00",
        BlockCommands::prepareRange10,
        BlockCommands::synchronizeCache);
    range(
        0x91,
        ReservationAccess.WRITE,
        "91 02 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareRange16,
        BlockCommands::synchronizeCache);
  }

  private static void verifies() {
    verify(0x2f, "2f 16 ff ff ff ff 1f ff ff 00", BlockCommands::prepareVerify10);
    verify(0xaf, "af 16 ff ff ff ff ff ff ff ff 1f 00", BlockCommands::prepareVerify12);
    verify(0x8f, "8f 16 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00", BlockCommands::prepareVerify16);
    write(
        0x2e,
        "2e 16 ff ff ff ff 1f ff ff 00",
        BlockCommands::prepareWriteAndVerify10,
        BlockCommands::writeAndVerify,
        BlockCommands::finishWriteAndVerify);
    write(
        0xae,
        "ae 16 ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareWriteAndVerify12,
        BlockCommands::writeAndVerify,
        BlockCommands::finishWriteAndVerify);
    write(
        0x8e,
        "8e 16 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00",
        BlockCommands::prepareWriteAndVerify16,
        BlockCommands::writeAndVerify,
        BlockCommands::finishWriteAndVerify);
  }

  private static void copies() {
    add(
        new CommandSpec(
            0x83,
            0x00,
            Phase.PARAMETER_OUT,
            ReservationAccess.WRITE,
            bytes("83 00 00 00 00 00 00 00 00 00 ff ff ff ff 00 00"),
            ThirdPartyCopy::prepareCopy,
            NO_SINK,
            ThirdPartyCopy::copy));
    in(
        0x84,
        0x00,
        ReservationAccess.READ,
        "84 00 ff 00 00 00 00 00 00 00 ff ff ff ff 00 00",
        ThirdPartyCopy::copyStatus);
    in(
        0x84,
        0x03,
        ReservationAccess.READ,
        "84 03 00 00 00 00 00 00 00 00 ff ff ff ff 00 00",
        ThirdPartyCopy::operatingParameters);
  }

  private static void provisioning() {
    in(
        0x25,
        NONE,
        ReservationAccess.FREE,
        "25 00 00 00 00 00 00 00 00 00",
        ProvisioningCommands::readCapacity10);
    in(
        0x9e,
        0x10,
        ReservationAccess.FREE,
        "9e 10 00 00 00 00 00 00 00 00 ff ff ff ff 00 00",
        ProvisioningCommands::readCapacity16);
    in(
        0x9e,
        0x12,
        ReservationAccess.READ,
        "9e 12 ff ff ff ff ff ff ff ff ff ff ff ff 00 00",
        ProvisioningCommands::getLbaStatus);
    out(
        0x42,
        "42 00 00 00 00 00 1f ff ff 00",
        ProvisioningCommands::prepareUnmap,
        ProvisioningCommands::unmap);
    out(
        0x41,
        "41 08 ff ff ff ff 1f ff ff 00",
        ProvisioningCommands::prepareWriteSame10,
        ProvisioningCommands::writeSame);
    out(
        0x93,
        "93 09 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00",
        ProvisioningCommands::prepareWriteSame16,
        ProvisioningCommands::writeSame);
  }

  private static void noData(
      int opcode, int serviceAction, ReservationAccess access, String usage, Step action) {
    add(
        new CommandSpec(
            opcode,
            serviceAction,
            Phase.NO_DATA,
            access,
            bytes(usage),
            BlockCommands::nothing,
            NO_SINK,
            action));
  }

  private static void range(
      int opcode, ReservationAccess access, String usage, Step prepare, Step action) {
    add(
        new CommandSpec(
            opcode, NONE, Phase.NO_DATA, access, bytes(usage), prepare, NO_SINK, action));
  }

  private static void in(
      int opcode, int serviceAction, ReservationAccess access, String usage, Step action) {
    add(
        new CommandSpec(
            opcode,
            serviceAction,
            Phase.PARAMETER_IN,
            access,
            bytes(usage),
            BlockCommands::nothing,
            NO_SINK,
            action));
  }

  private static void out(int opcode, String usage, Step prepare, Step action) {
    add(
        new CommandSpec(
            opcode,
            NONE,
            Phase.PARAMETER_OUT,
            ReservationAccess.WRITE,
            bytes(usage),
            prepare,
            NO_SINK,
            action));
  }

  private static void read(int opcode, String usage, Step prepare) {
    add(
        new CommandSpec(
            opcode,
            NONE,
            Phase.MEDIUM_READ,
            ReservationAccess.READ,
            bytes(usage),
            prepare,
            NO_SINK,
            BlockCommands::nothing));
  }

  private static void write(int opcode, String usage, Step prepare, Sink sink, Step finish) {
    add(
        new CommandSpec(
            opcode,
            NONE,
            Phase.MEDIUM_WRITE,
            ReservationAccess.WRITE,
            bytes(usage),
            prepare,
            sink,
            finish));
  }

  private static void verify(int opcode, String usage, Step prepare) {
    add(
        new CommandSpec(
            opcode,
            NONE,
            Phase.MEDIUM_WRITE,
            ReservationAccess.READ,
            bytes(usage),
            prepare,
            BlockCommands::verify,
            BlockCommands::finishVerify));
  }

  private static void add(CommandSpec spec) {
    ALL.add(spec);
    @Nullable CommandSpec[] actions = TABLE[spec.opcode()];
    if (actions == null) {
      boolean any = spec.serviceAction() == NONE;
      actions = new CommandSpec[any ? 1 : SERVICE_ACTIONS];
      TABLE[spec.opcode()] = actions;
    }
    actions[Math.max(0, spec.serviceAction())] = spec;
  }

  private static byte[] bytes(String hex) {
    return HexFormat.ofDelimiter(" ").parseHex(hex);
  }

  private static String hex(int value) {
    return HexFormat.of().toHexDigits(value, 2);
  }

  static List<CommandSpec> all() {
    return List.copyOf(ALL);
  }

  static List<CommandSpec> variants(int opcode) {
    return ALL.stream().filter(spec -> spec.opcode() == opcode).toList();
  }

  /** The command, or null when it is not supported; the service action is ignored where none is. */
  static @Nullable CommandSpec find(int opcode, int serviceAction) {
    @Nullable CommandSpec[] actions = TABLE[opcode];
    if (actions == null) {
      return null;
    }
    if (actions.length == 1) {
      return actions[0];
    }
    return serviceAction < actions.length ? actions[serviceAction] : null;
  }

  static boolean knownOpcode(int opcode) {
    return TABLE[opcode] != null;
  }
}
