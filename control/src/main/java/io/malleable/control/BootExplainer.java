package io.malleable.control;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;

/** Says where a boot stands and, if it stopped, the likely cause and the fix. */
final class BootExplainer {
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
    return explain(node, boot.get(), ports.clock().instant());
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

  private Explanation explain(Node node, Boot boot, Instant now) {
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
    Reason reason = reason(node, boot, due.get().stage());
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

  private Reason reason(Node node, Boot boot, BootStage missing) {
    return switch (missing) {
      case BOOT_SCRIPT -> beforeScript(node, boot);
      case FIRMWARE_LOGIN -> beforeLogin(node);
      default -> beforeOs(node, boot);
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

  private static Reason beforeOs(Node node, Boot boot) {
    if (!boot.reached(BootStage.FIRST_READ)) {
      return new Reason(
          "The firmware has the drive but read nothing from it.",
          "Look at the console: m2 node console " + node.name());
    }
    return new Reason(
        "The boot loader was read from the drive, but the operating system never logged in: its"
            + " initial RAM disk lacks open-iscsi or the NIC's driver, it does not look at the iBFT,"
            + " or the image has no loader for "
            + node.firmware().word()
            + " firmware.",
        "Look at the console (m2 node console "
            + node.name()
            + ") and check the image for ISCSI_AUTO and its modules.");
  }
}
