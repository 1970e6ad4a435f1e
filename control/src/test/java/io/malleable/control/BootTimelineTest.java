package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BootTimelineTest {
  private Fixture fixture;
  private BootEvents events;
  private Node node;
  private UUID disk;

  @BeforeEach
  void provision(@TempDir Path directory) throws Exception {
    fixture = new Fixture(directory);
    fixture.image("golden");
    node = fixture.provisioned("n1", 1, "golden");
    disk = node.disk().orElseThrow().id();
    events = fixture.control.bootEvents();
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  private MacAddress mac() {
    return node.nics().getFirst();
  }

  private List<Boot> boots() throws InterruptedException {
    fixture.control.timeline().drain();
    return fixture.control.nodes().boots(fixture.project(), "n1", 100);
  }

  private static List<BootStage> stages(Boot boot) {
    return boot.stages().stream().map(Boot.Stage::stage).toList();
  }

  @Test
  void aScriptAfterALoginBeginsTheNextBootAndTakesItsDhcpAlong() throws Exception {
    events.onNetworkStage(mac(), BootStage.DHCP_DISCOVER, "");
    fixture.clock.advance(Duration.ofSeconds(1));
    events.onNetworkStage(mac(), BootStage.DHCP_ACK, "192.0.2.9");
    fixture.clock.advance(Duration.ofSeconds(1));
    events.onScript(mac(), "bios", "192.0.2.9");
    List<Boot> boots = boots();
    assertEquals(2, boots.getFirst().number());
    assertEquals(
        List.of(BootStage.DHCP_DISCOVER, BootStage.DHCP_ACK, BootStage.BOOT_SCRIPT),
        stages(boots.getFirst()));
    assertEquals(5, boots.getLast().stages().size());
  }

  @Test
  void dhcpOfTheRunningSystemIsNoBoot() throws Exception {
    events.onNetworkStage(mac(), BootStage.DHCP_DISCOVER, "");
    fixture.clock.advance(Duration.ofHours(1));
    events.onScript(mac(), "bios", "192.0.2.9");
    assertEquals(List.of(BootStage.BOOT_SCRIPT), stages(boots().getFirst()));
  }

  @Test
  void aMachineThatAsksAgainAndAgainIsStillInTheSameBoot() throws Exception {
    events.onScript(mac(), "bios", "192.0.2.9");
    events.onScript(mac(), "bios", "192.0.2.9");
    events.onScript(mac(), "bios", "192.0.2.9");
    assertEquals(2, boots().getFirst().number());
  }

  @Test
  void firmwareThatLogsInTwiceIsNotTheOperatingSystem() throws Exception {
    events.onScript(mac(), "bios", "192.0.2.9");
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_IPXE);
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_IPXE + 1);
    assertFalse(boots().getFirst().reached(BootStage.OS_LOGIN));
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_LINUX);
    assertTrue(boots().getFirst().reached(BootStage.OS_LOGIN));
  }

  @Test
  void anotherFirmwareIsToldFromTheSystemByItsSessionId() throws Exception {
    events.onScript(mac(), "uefi", "192.0.2.9");
    events.onLogin(disk, node.initiatorName(), 0x0011_2233_4455L);
    events.onLogin(disk, node.initiatorName(), 0x0011_2233_4455L);
    assertFalse(boots().getFirst().reached(BootStage.OS_LOGIN));
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_LINUX);
    assertTrue(boots().getFirst().reached(BootStage.OS_LOGIN));
  }

  @Test
  void stagesKeepHowMuchWasReadAndWritten() throws Exception {
    events.onScript(mac(), "bios", "192.0.2.9");
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_IPXE);
    fixture.control.timeline().drain();
    fixture.targets.setUse(disk, new Targets.Use(1, 4096, 512, 0));
    events.onFirstWrite(disk);
    Boot.Stage write = boots().getFirst().stage(BootStage.FIRST_WRITE).orElseThrow();
    assertEquals(4096, write.readBytes());
    assertEquals(512, write.writtenBytes());
  }

  @Test
  void eachBootCountsItsOwnBytes() throws Exception {
    fixture.targets.setUse(disk, new Targets.Use(1, 10_000_000, 70_000, 0));
    events.onScript(mac(), "bios", "192.0.2.9");
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_IPXE);
    fixture.control.timeline().drain();
    fixture.targets.setUse(disk, new Targets.Use(1, 12_097_152, 70_512, 0));
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_LINUX);
    Boot second = boots().getFirst();
    assertEquals(2, second.number());
    assertEquals(0, second.stage(BootStage.FIRMWARE_LOGIN).orElseThrow().readBytes());
    assertEquals(2_097_152, second.stage(BootStage.OS_LOGIN).orElseThrow().readBytes());
    assertEquals(512, second.stage(BootStage.OS_LOGIN).orElseThrow().writtenBytes());
    String told = fixture.control.nodes().explain(fixture.project(), "n1").summary();
    assertTrue(told.contains("2.0 MiB read and 512 B written"), told);
    // The target's counters begin anew with the server.
    fixture.targets.setUse(disk, new Targets.Use(1, 4096, 0, 0));
    events.onFirstWrite(disk);
    assertEquals(4096, boots().getFirst().stage(BootStage.FIRST_WRITE).orElseThrow().readBytes());
  }

  @Test
  void aSystemThatNeverReportsIsExplainedWithoutFailing() throws Exception {
    events.onFirstWrite(disk);
    fixture.control.timeline().drain();
    Nodes nodes = fixture.control.nodes();
    assertEquals(Optional.empty(), nodes.explain(fixture.project(), "n1").missing());
    fixture.clock.advance(Duration.ofMinutes(11));
    Explanation why = nodes.explain(fixture.project(), "n1");
    assertEquals(Optional.of(BootStage.READY), why.missing());
    assertTrue(why.cause().orElseThrow().contains("CIDATA"), why.toString());
  }

  @Test
  void aSystemReportsByItsTokenOrItsMac() throws Exception {
    BootDecision.Provisioned told =
        (BootDecision.Provisioned) fixture.control.nodes().bootDecision(mac());
    assertFalse(events.onPhoneHome("guessed"));
    assertFalse(events.onPhoneHome(Fixture.mac(99)));
    assertFalse(boots().getFirst().reached(BootStage.READY));
    assertTrue(events.onPhoneHome(told.phoneHomeToken()));
    assertTrue(boots().getFirst().reached(BootStage.READY));
    assertTrue(events.onPhoneHome(mac()));
    assertTrue(
        fixture
            .control
            .nodes()
            .explain(fixture.project(), "n1")
            .summary()
            .contains("reported that it is ready"));
  }

  @Test
  void onlyTheLastBootsAreKept() throws Exception {
    for (int i = 0; i < 30; i++) {
      fixture.clock.advance(Duration.ofMinutes(1));
      events.onScript(mac(), "bios", "192.0.2.9");
      events.onLogin(disk, node.initiatorName(), Fixture.ISID_IPXE);
    }
    List<Boot> boots = boots();
    assertEquals(20, boots.size());
    assertEquals(31, boots.getFirst().number());
  }

  @Test
  void unknownMachinesAreRememberedUpToABound() throws Exception {
    for (int i = 0; i < 400; i++) {
      events.onScript(
          new MacAddress(String.format("52:54:01:00:%02x:%02x", i / 256, i % 256)),
          "",
          "192.0.2.1");
    }
    fixture.control.timeline().drain();
    List<UnknownMachine> unknown = fixture.control.nodes().unknownMachines();
    assertEquals(256, unknown.size());
    assertEquals("52:54:01:00:01:8f", unknown.getFirst().mac().text());
    fixture
        .control
        .nodes()
        .add(
            fixture.project(),
            new NodeSpec(
                "found",
                List.of(unknown.getFirst().mac()),
                Firmware.BIOS,
                "x86_64",
                Optional.empty(),
                Optional.empty(),
                List.of(),
                AfterHostCrash.REBOOT));
    assertEquals(255, fixture.control.nodes().unknownMachines().size());
  }

  @Test
  void eventsArriveInOrderAndNobodyIsWaitedFor() throws Exception {
    long before = fixture.control.events().latest();
    events.onScript(mac(), "bios", "192.0.2.9");
    fixture.control.timeline().drain();
    List<Event> seen =
        fixture
            .control
            .events()
            .await(before, Optional.of(fixture.project()), 100, Fixture.PATIENCE_MILLIS);
    assertEquals("boot.boot-script", seen.getFirst().kind());
    assertEquals("n1", seen.getFirst().subject().orElseThrow().name());
    assertEquals(
        List.of(),
        fixture
            .control
            .events()
            .await(seen.getLast().sequence(), Optional.of(fixture.project()), 100, 1));
    Page<Event> newest = fixture.control.events().list(Optional.empty(), PageRequest.first());
    assertEquals(seen.getLast().sequence(), newest.items().getFirst().sequence());
  }
}
