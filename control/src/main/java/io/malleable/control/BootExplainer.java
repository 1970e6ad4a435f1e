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
  private final BootReasons reasons;

  BootExplainer(Ports ports, BootDeadlines deadlines) {
    this.ports = ports;
    this.deadlines = deadlines;
    this.servedSince = ports.clock().instant();
    this.reasons = new BootReasons(ports);
  }

  /** What the boot waits for now; absent when the operating system has its drive. */
  Optional<BootDeadlines.Due> due(Boot boot) {
    return deadlines.due(boot, servedSince);
  }

  /** Where the latest boot stands; first of all, whether there is anything to boot from. */
  Explanation explain(Rows rows, Node node) {
    Explanation boot = boot(rows, node);
    return reasons.ofDrive(node).map(boot::because).orElse(boot);
  }

  private Explanation boot(Rows rows, Node node) {
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
    if (node.isHeld()) {
      return held(rows, node, latest);
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

  /** Its system stands still, because it may not go on; nothing but a boot helps. */
  private Explanation held(Rows rows, Node node, Optional<Boot> latest) {
    BootReasons.Reason reason = reasons.ofHeld(rows, node);
    return new Explanation(
        node.name(),
        node.stateWord(),
        "The machine is held until it reboots. " + LostWrites.REASON,
        latest.filter(b -> !b.stages().isEmpty()).map(b -> b.stages().getLast().stage()),
        Optional.of(BootStage.BOOT_SCRIPT),
        Optional.of(reason.cause()),
        Optional.of(reason.fix()));
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
      Optional<BootDeadlines.Due> report =
          deadlines.report(boot, servedSince).filter(each -> !now.isBefore(each.deadline()));
      Optional<BootReasons.Reason> why =
          report.map(missing -> reasons.of(rows, node, boot, missing.stage()));
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
              + ", "
              + BootReasons.traffic(reasons.until(node, boot))
              + ".",
          reached,
          report.map(BootDeadlines.Due::stage),
          why.map(BootReasons.Reason::cause),
          why.map(BootReasons.Reason::fix));
    }
    BootReasons.Reason reason = reasons.of(rows, node, boot, due.get().stage());
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
            + "'; "
            + BootReasons.traffic(reasons.until(node, boot))
            + ".";
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
        "The node stays provisioned: a machine that is only slow will still boot."
            + why.fix().map(fix -> " " + fix).orElse(""));
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
}
