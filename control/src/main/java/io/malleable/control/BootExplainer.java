package io.malleable.control;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;

/** Says where a boot stands and, if it stopped, the likely cause and the fix. */
final class BootExplainer {
  /** A boot sector or a partition table is less, any loader more. */
  private static final long LOADER_BYTES = 16 << 10;

  /** A loader with its menu is less, a kernel with an initial RAM disk more. */
  private static final long KERNEL_BYTES = 4 << 20;

  private static final int MAX_ANCESTORS = 64;

  private final Ports ports;
  private final BootDeadlines deadlines;
  private final Instant servedSince;

  BootExplainer(Ports ports, BootDeadlines deadlines) {
    this.ports = ports;
    this.deadlines = deadlines;
    this.servedSince = ports.clock().instant();
  }

  /** What the boot waits for now; absent when the operating system has its drive. */
  Optional<BootDeadlines.Due> due(Boot boot) {
    return deadlines.due(boot, servedSince);
  }

  private record Reason(String cause, String fix) {}

  Explanation explain(Rows rows, Node node) {
    Optional<Boot> latest = rows.boots().latest(node.id());
    if (node.state() == Node.State.FREE) {
      return idle(
          node,
          "The node is not provisioned.",
          "Provision it: m2 node provision " + node.name() + " --image IMAGE");
    }
    if (node.state() != Node.State.PROVISIONED) {
      return idle(
          node,
          "An operation is at work: its drive is not there yet, or is being taken away.",
          "Wait for it: m2 operation list");
    }
    Optional<UUID> disk = node.disk().map(Ref::id);
    Optional<Boot> boot = latest.filter(b -> b.disk().equals(disk));
    if (boot.isEmpty()) {
      return new Explanation(
          node.name(),
          node.stateWord(),
          "The machine has not shown itself since it was provisioned.",
          Optional.empty(),
          Optional.of(BootStage.BOOT_SCRIPT),
          Optional.of(
              ports.power().isAutomatic(node)
                  ? "Nothing has switched it on."
                  : "It has no power driver and nobody has switched it on, or it does not boot from"
                      + " the network."),
          Optional.of(
              ports.power().isAutomatic(node)
                  ? "Switch it on: m2 node power " + node.name() + " on"
                  : "Switch it on and let it boot from the NIC " + node.nics().getFirst() + "."));
    }
    return explain(rows, node, boot.get(), ports.clock().instant());
  }

  private static Explanation idle(Node node, String summary, String fix) {
    return new Explanation(
        node.name(),
        node.stateWord(),
        summary,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.of(fix));
  }

  private Explanation explain(Rows rows, Node node, Boot boot, Instant now) {
    Optional<BootStage> reached =
        boot.stages().isEmpty() ? Optional.empty() : Optional.of(boot.stages().getLast().stage());
    Optional<BootDeadlines.Due> due = due(boot);
    if (due.isEmpty()) {
      return new Explanation(
          node.name(),
          node.stateWord(),
          "Boot "
              + boot.number()
              + (boot.reached(BootStage.READY)
                  ? " is complete: the system reported that it is ready."
                  : " got as far as the operating system: it has its drive.")
              + " "
              + duration(boot)
              + ".",
          reached,
          Optional.empty(),
          Optional.empty(),
          Optional.empty());
    }
    Reason reason = reason(rows, node, boot, due.get().stage());
    long seconds = Math.max(0, Duration.between(due.get().since(), now).toSeconds());
    boolean late = !now.isBefore(due.get().deadline());
    String summary =
        "Boot "
            + boot.number()
            + (late ? " stopped: '" : " is under way: '")
            + due.get().stage().word()
            + (late ? "' is missing, " : "' comes next, ")
            + seconds
            + " s after '"
            + reached.map(BootStage::word).orElse("the start")
            + "'.";
    return new Explanation(
        node.name(),
        node.stateWord(),
        summary,
        reached,
        Optional.of(due.get().stage()),
        late ? Optional.of(reason.cause()) : Optional.empty(),
        late ? Optional.of(reason.fix()) : Optional.empty());
  }

  /** The error of an operation whose machine is late. */
  ControlException stalled(Rows rows, Node node) {
    Explanation why = explain(rows, node);
    return ControlException.of(
        ErrorCode.BOOT_STALLED,
        why.summary() + why.cause().map(cause -> " " + cause).orElse(""),
        why.fix().map(fix -> fix + " ").orElse("")
            + "The node stays provisioned: a machine that is only slow will still boot.");
  }

  /** How long the boot took until its last stage. */
  static String duration(Boot boot) {
    Instant end = boot.stages().isEmpty() ? boot.startedAt() : boot.stages().getLast().at();
    long millis = Duration.between(boot.startedAt(), end).toMillis();
    return "'"
        + boot.stages().getLast().stage().word()
        + "' after "
        + millis / 1000
        + "."
        + millis % 1000 / 100
        + " s";
  }

  private Reason reason(Rows rows, Node node, Boot boot, BootStage missing) {
    return switch (missing) {
      case BOOT_SCRIPT -> beforeScript(node, boot);
      case FIRMWARE_LOGIN -> beforeLogin(node);
      default -> beforeOs(rows, node, boot);
    };
  }

  private static Reason beforeScript(Node node, Boot boot) {
    if (boot.reached(BootStage.TFTP)) {
      return new Reason(
          "The machine fetched a loader, but the loader did not ask for its script: it does not fit"
              + " the firmware ("
              + node.firmware().word()
              + "), or it cannot reach the boot address.",
          "Check the node's firmware setting and that the machine can reach the --boot-http address.");
    }
    if (boot.reached(BootStage.DHCP_ACK)) {
      return new Reason(
          "The machine has an address but fetched neither loader nor script: the boot file it was"
              + " given cannot be reached from its network.",
          "Check next-server, boot file and any firewall between the machine and this server.");
    }
    if (boot.reached(BootStage.DHCP_DISCOVER)) {
      return new Reason(
          "The machine asked for an address and did not take one: the answer does not reach it, or"
              + " another DHCP server answers.",
          "Look for other DHCP servers (m2 event list) and for VLAN or relay settings.");
    }
    return new Reason(
        "Nothing was heard of the machine: it has no power, it does not boot from the network, its"
            + " NIC has another MAC address, or its DHCP server does not name this server.",
        "Look at its console (m2 node console "
            + node.name()
            + "), the boot order, and the MAC address "
            + node.nics().getFirst()
            + "; m2 node list --unknown shows machines that nobody added.");
  }

  private Reason beforeLogin(Node node) {
    long failed = node.disk().map(d -> ports.targets().use(d.id()).failedLogins()).orElse(0L);
    if (failed > 0) {
      return new Reason(
          "The machine's logins were refused "
              + failed
              + " times: it uses an old secret or another initiator name.",
          "Restart the machine so that it fetches its script again: m2 node power "
              + node.name()
              + " cycle");
    }
    return new Reason(
        "The machine has its script but did not log in: the iSCSI portal cannot be reached from its"
            + " network, or its firmware cannot do iSCSI.",
        "Check that port 3260 of this server is open to the machine, and its console: m2 node"
            + " console "
            + node.name());
  }

  /** How far the firmware and its loader got shows in how much they read. */
  private Reason beforeOs(Rows rows, Node node, Boot boot) {
    String console = "Look at the console: m2 node console " + node.name();
    String check =
        " and see what the image lacks: m2 image check " + image(rows, node).orElse("IMAGE");
    if (!boot.reached(BootStage.FIRST_READ)) {
      return new Reason("The firmware has the drive but read nothing from it.", console + ".");
    }
    long readBytes = readSinceLogin(node, boot);
    String firmware = node.firmware().word();
    if (readBytes < LOADER_BYTES) {
      return new Reason(
          "Only "
              + readBytes / 1024
              + " KiB were read from the drive: it has no loader for "
              + firmware
              + " firmware.",
          console + check + " --firmware " + firmware + ".");
    }
    if (readBytes < KERNEL_BYTES) {
      return new Reason(
          "Only "
              + readBytes / 1024
              + " KiB were read from the drive: its loader found neither kernel nor initial RAM disk.",
          console + check + " --firmware " + firmware + ".");
    }
    return new Reason(
        readBytes / (1 << 20)
            + " MiB were read from the drive, kernel and initial RAM disk, but the operating system"
            + " never logged in: that RAM disk lacks open-iscsi or the NIC's driver, or it does not"
            + " look at the iBFT.",
        console + check + ".");
  }

  private long readSinceLogin(Node node, Boot boot) {
    long before = boot.stage(BootStage.FIRMWARE_LOGIN).map(Boot.Stage::readBytes).orElse(0L);
    long now = node.disk().map(d -> ports.targets().use(d.id()).readBytes()).orElse(0L);
    long seen = boot.stages().stream().mapToLong(Boot.Stage::readBytes).max().orElse(0);
    // The target counts from nothing after a restart of the server.
    return Math.max(0, Math.max(now, seen) - before);
  }

  /** The image that the node's disk was made from, over any number of snapshots. */
  private static Optional<String> image(Rows rows, Node node) {
    Optional<Ref> at = node.disk().flatMap(d -> rows.disks().find(d.id())).flatMap(Disk::parent);
    for (int i = 0; i < MAX_ANCESTORS && at.isPresent(); i++) {
      if (at.get().kind() == ResourceKind.IMAGE) {
        return Optional.of(at.get().name());
      }
      at = rows.snapshots().find(at.get().id()).flatMap(Snapshot::parent);
    }
    return Optional.empty();
  }
}
