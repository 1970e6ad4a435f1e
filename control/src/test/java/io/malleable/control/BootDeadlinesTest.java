package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class BootDeadlinesTest {
  private static final Instant START = Instant.parse("2026-11-25T12:00:00Z");

  /** A boot whose stages come a second apart; a stage is {@code WORD} or {@code WORD=detail}. */
  private static Boot boot(String stages) {
    List<Boot.Stage> seen = new ArrayList<>();
    for (String stage : stages.split(" ", -1)) {
      String[] parts = stage.split("=", 2);
      seen.add(
          new Boot.Stage(
              BootStage.valueOf(parts[0]),
              START.plusSeconds(seen.size()),
              parts.length == 2 ? Optional.of(parts[1]) : Optional.empty(),
              0,
              0));
    }
    return new Boot(new UUID(1, 2), 1, START, Optional.of(new UUID(3, 4)), Boot.Traffic.NONE, seen);
  }

  @ParameterizedTest
  @CsvSource({
    "SERVER, POWER_ON, DHCP_DISCOVER, 10",
    "PROXY, POWER_ON, DHCP_DISCOVER, 10",
    "ELSEWHERE, POWER_ON, BOOT_SCRIPT, 10",
    "SERVER, POWER_ON DHCP_DISCOVER, DHCP_OFFER, 1",
    "SERVER, POWER_ON DHCP_DISCOVER DHCP_OFFER, DHCP_REQUEST, 1",
    "PROXY, POWER_ON DHCP_DISCOVER DHCP_OFFER, BOOT_SCRIPT, 3",
    "SERVER, DHCP_DISCOVER DHCP_OFFER DHCP_REQUEST, DHCP_ACK, 1",
    "SERVER, DHCP_OFFER DHCP_REQUEST DHCP_ACK=pxe, TFTP, 3",
    "SERVER, DHCP_OFFER DHCP_REQUEST DHCP_ACK=ipxe, BOOT_SCRIPT, 3",
    "SERVER, DHCP_OFFER DHCP_REQUEST DHCP_ACK=http, BOOT_SCRIPT, 3",
    "SERVER, POWER_ON TFTP, BOOT_SCRIPT, 3",
    "SERVER, POWER_ON BOOT_SCRIPT, FIRMWARE_LOGIN, 2",
    "SERVER, BOOT_SCRIPT FIRMWARE_LOGIN, FIRST_READ, 2",
    "SERVER, BOOT_SCRIPT FIRMWARE_LOGIN FIRST_READ, OS_LOGIN, 10"
  })
  void eachStageIsFollowedByOneThatIsDue(
      BootDeadlines.Dhcp dhcp, String stages, BootStage missing, int minutes) {
    Boot boot = boot(stages);
    BootDeadlines.Due due = new BootDeadlines(dhcp).due(boot, START).orElseThrow();
    assertEquals(missing, due.stage());
    Instant last = boot.stages().getLast().at();
    assertEquals(last.plus(Duration.ofMinutes(minutes)), due.deadline());
    Instant later = last.plus(Duration.ofHours(1));
    assertEquals(
        later.plus(Duration.ofMinutes(minutes)),
        new BootDeadlines(dhcp).due(boot, later).orElseThrow().deadline(),
        "the time that the server was away does not count");
  }

  @ParameterizedTest
  @CsvSource({
    "POWER_ON OS_LOGIN, FIRST_WRITE",
    "POWER_ON OS_LOGIN FIRST_WRITE, READY",
  })
  void aSystemWithItsDriveIsDueToReportButNothingWaitsForIt(String stages, BootStage missing) {
    BootDeadlines deadlines = new BootDeadlines(BootDeadlines.Dhcp.SERVER);
    assertEquals(Optional.empty(), deadlines.due(boot(stages), START));
    assertEquals(missing, deadlines.report(boot(stages), START).orElseThrow().stage());
  }

  @Test
  void aSystemThatReportedIsDone() {
    BootDeadlines deadlines = new BootDeadlines(BootDeadlines.Dhcp.SERVER);
    assertTrue(deadlines.due(boot("OS_LOGIN READY"), START).isEmpty());
    assertTrue(deadlines.report(boot("OS_LOGIN READY"), START).isEmpty());
  }
}
