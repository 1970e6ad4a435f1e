package io.malleable.control;

import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.Optional;

/**
 * How long a boot may stay at a stage before something is wrong. Generous: real servers test their
 * memory for minutes, and a boot that comes late still succeeds.
 *
 * @param dhcp which part of DHCP this server sees
 */
public record BootDeadlines(Dhcp dhcp) {
  /** What this server does for DHCP on the machines' segment. */
  public enum Dhcp {
    /** Nothing: the first that is heard of a machine is a loader or the script. */
    ELSEWHERE,
    /** It adds the boot file; another server hands out the addresses, unseen. */
    PROXY,
    SERVER
  }

  private static final Duration SELF_TEST = Duration.ofMinutes(10);
  private static final Duration ANSWER = Duration.ofMinutes(1);
  private static final Duration TRANSFER = Duration.ofMinutes(3);
  private static final Duration LOGIN = Duration.ofMinutes(2);
  private static final Duration SYSTEM = Duration.ofMinutes(10);

  /**
   * A stage that is due.
   *
   * @param since when the stage before it was seen
   */
  record Due(BootStage stage, Instant since, Instant deadline) {}

  private record Next(BootStage stage, Duration limit) {}

  /**
   * What a boot waits for now; absent when the operating system has its drive.
   *
   * @param servedSince since when there is somebody to boot from: no time counts before
   */
  Optional<Due> due(Boot boot, Instant servedSince) {
    if (boot.reached(BootStage.OS_LOGIN) || boot.reached(BootStage.READY)) {
      return Optional.empty();
    }
    return Optional.of(after(boot, servedSince));
  }

  /**
   * What is left to come of a system that has its drive: it writes, and where it can, it reports.
   * Not every image does, so nothing fails for it.
   */
  Optional<Due> report(Boot boot, Instant servedSince) {
    return boot.reached(BootStage.OS_LOGIN) && !boot.reached(BootStage.READY)
        ? Optional.of(after(boot, servedSince))
        : Optional.empty();
  }

  private Due after(Boot boot, Instant servedSince) {
    Optional<Boot.Stage> last = boot.stages().stream().max(Comparator.comparing(Boot.Stage::stage));
    Next next = last.map(this::next).orElseGet(this::first);
    Instant since = last.map(Boot.Stage::at).orElse(boot.startedAt());
    Instant from = since.isAfter(servedSince) ? since : servedSince;
    return new Due(next.stage(), since, from.plus(next.limit()));
  }

  private Next first() {
    return dhcp == Dhcp.ELSEWHERE
        ? new Next(BootStage.BOOT_SCRIPT, SELF_TEST)
        : new Next(BootStage.DHCP_DISCOVER, SELF_TEST);
  }

  private Next next(Boot.Stage last) {
    return switch (last.stage()) {
      case POWER_ON -> first();
      case DHCP_DISCOVER -> new Next(BootStage.DHCP_OFFER, ANSWER);
      case DHCP_OFFER -> addressed(BootStage.DHCP_REQUEST);
      case DHCP_REQUEST -> addressed(BootStage.DHCP_ACK);
      case DHCP_ACK ->
          // A ROM without iPXE has been told to fetch it; iPXE and HTTP boot need no TFTP.
          last.detail().orElse("").startsWith("pxe")
              ? new Next(BootStage.TFTP, TRANSFER)
              : new Next(BootStage.BOOT_SCRIPT, TRANSFER);
      case TFTP -> new Next(BootStage.BOOT_SCRIPT, TRANSFER);
      case BOOT_SCRIPT -> new Next(BootStage.FIRMWARE_LOGIN, LOGIN);
      case FIRMWARE_LOGIN -> new Next(BootStage.FIRST_READ, LOGIN);
      case FIRST_READ -> new Next(BootStage.OS_LOGIN, SYSTEM);
      case OS_LOGIN -> new Next(BootStage.FIRST_WRITE, SYSTEM);
      case FIRST_WRITE, READY -> new Next(BootStage.READY, SYSTEM);
    };
  }

  /** In proxy mode the rest is between the machine and the other server. */
  private Next addressed(BootStage stage) {
    return dhcp == Dhcp.SERVER
        ? new Next(stage, ANSWER)
        : new Next(BootStage.BOOT_SCRIPT, TRANSFER);
  }
}
