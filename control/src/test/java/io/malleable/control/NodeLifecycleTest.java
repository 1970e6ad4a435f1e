package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.hardware.PowerState;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NodeLifecycleTest {
  private Fixture fixture;
  private UUID project;
  private Nodes nodes;

  @BeforeEach
  void open(@TempDir Path directory) throws IOException {
    fixture = new Fixture(directory);
    project = fixture.project();
    nodes = fixture.control.nodes();
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  private Operation provision(String node, String image) {
    return fixture
        .control
        .nodes()
        .provision(project, node, new BootDrive.OfImage(image), List.of());
  }

  @Test
  void aProvisionedNodeIsBoundToAFreshCloneAndPoweredOn() throws Exception {
    Image image = fixture.image("golden");
    Node node = fixture.node("n1", 1);
    Operation operation = provision("n1", "golden");
    fixture.reached(operation, OperationState.WAITING);

    Node now = nodes.get(project, "n1");
    assertEquals(Node.State.PROVISIONED, now.state());
    assertEquals(PowerState.ON, now.power());
    assertEquals(Optional.of(operation.id()), now.operation());
    Disk disk = fixture.control.disks().get(project, "n1");
    assertEquals(image.id(), disk.parent().orElseThrow().id());
    assertEquals("attached", disk.stateWord());
    assertEquals(List.of("network", "on"), fixture.power.machine("n1").calls);
    Targets.Definition target = fixture.targets.definition(disk.id());
    assertEquals(Optional.of("iqn.2026-11.io.malleable.node:" + node.id()), target.initiator());
    assertEquals(node.id().toString(), target.chap().username());
    BootDecision.Provisioned told =
        assertInstanceOf(
            BootDecision.Provisioned.class, nodes.bootDecision(node.nics().getFirst()));
    assertEquals(target.chap(), told.chap());
    assertEquals(target.name(), told.target());
    assertFalse(told.toString().contains(told.chap().secret()));

    fixture.boots(node);
    Operation ended = fixture.succeeded(operation);
    assertEquals(1.0, ended.progress());
    assertEquals(Optional.empty(), nodes.get(project, "n1").operation());
    Boot boot = nodes.boots(project, "n1", 10).getFirst();
    assertEquals(
        List.of(
            BootStage.POWER_ON,
            BootStage.BOOT_SCRIPT,
            BootStage.FIRMWARE_LOGIN,
            BootStage.FIRST_READ,
            BootStage.OS_LOGIN),
        boot.stages().stream().map(Boot.Stage::stage).toList());
  }

  @Test
  void aNodeWithoutADriverIsWaitedForWithoutHurry() throws Exception {
    fixture.image("golden");
    Node node = fixture.manualNode("n1", 1);
    Operation operation = provision("n1", "golden");
    fixture.reached(operation, OperationState.WAITING);
    fixture.clock.advance(Duration.ofDays(3));
    fixture.control.tick();
    assertEquals(
        OperationState.WAITING,
        fixture.control.operations().get(project, operation.id().toString()).state());
    fixture.boots(node);
    fixture.succeeded(operation);
  }

  @Test
  void aBootThatStopsFailsTheOperationWithCauseAndFixButKeepsTheDrive() throws Exception {
    fixture.image("golden");
    Node node = fixture.node("n1", 1);
    Operation operation = provision("n1", "golden");
    fixture.reached(operation, OperationState.WAITING);
    fixture.control.bootEvents().onScript(node.nics().getFirst(), "bios", "192.0.2.1");
    fixture.control.timeline().drain();
    fixture.clock.advance(Duration.ofMinutes(1));
    fixture.control.tick();
    assertEquals(
        OperationState.WAITING,
        fixture.control.operations().get(project, operation.id().toString()).state());
    fixture.clock.advance(Duration.ofMinutes(2));
    fixture.control.tick();
    Operation ended = fixture.end(operation);
    assertEquals(OperationState.FAILED, ended.state());
    OperationError error = ended.error().orElseThrow();
    assertEquals(ErrorCode.BOOT_STALLED, error.code());
    assertTrue(error.message().contains("'firmware-login' is missing"), error.message());
    assertTrue(error.hint().orElseThrow().contains("3260"), error.toString());
    Explanation why = nodes.explain(project, "n1");
    assertEquals(Optional.of(BootStage.FIRMWARE_LOGIN), why.missing());
    assertEquals(Optional.of(BootStage.BOOT_SCRIPT), why.reached());

    assertEquals(Node.State.PROVISIONED, nodes.get(project, "n1").state());
    UUID disk = nodes.get(project, "n1").disk().orElseThrow().id();
    assertTrue(fixture.targets.defined().contains(disk));
    fixture.boots(node);
    assertTrue(nodes.boots(project, "n1", 1).getFirst().reached(BootStage.OS_LOGIN));
  }

  @Test
  void refusedLoginsAreNamedAsTheCause() throws Exception {
    fixture.image("golden");
    Node node = fixture.node("n1", 1);
    fixture.reached(provision("n1", "golden"), OperationState.WAITING);
    fixture.control.bootEvents().onScript(node.nics().getFirst(), "bios", "192.0.2.1");
    fixture.control.timeline().drain();
    UUID disk = nodes.get(project, "n1").disk().orElseThrow().id();
    fixture.targets.setUse(disk, new Targets.Use(0, 0, 0, 4));
    fixture.clock.advance(Duration.ofMinutes(5));
    assertTrue(nodes.explain(project, "n1").cause().orElseThrow().contains("refused 4 times"));
  }

  @Test
  void theTimeThatTheServerWasAwayDoesNotCount() throws Exception {
    fixture.image("golden");
    Node node = fixture.node("n1", 1);
    Operation operation = provision("n1", "golden");
    fixture.reached(operation, OperationState.WAITING);
    fixture.restartAfter(Duration.ofHours(5));
    fixture.control.tick();
    assertEquals(
        OperationState.WAITING,
        fixture.control.operations().get(project, operation.id().toString()).state());
    fixture.boots(node);
    fixture.succeeded(operation);
  }

  @Test
  void aBrokenBmcLeavesNothingHalfDone() throws Exception {
    fixture.image("golden");
    fixture.node("n1", 1);
    fixture.power.machine("n1").broken = true;
    Operation ended = fixture.end(provision("n1", "golden"));
    assertEquals(OperationState.FAILED, ended.state());
    assertEquals(ErrorCode.POWER_FAILED, ended.error().orElseThrow().code());
    assertEquals(Node.State.FREE, nodes.get(project, "n1").state());
    assertEquals(List.of(), fixture.control.disks().list(project, PageRequest.first()).items());
    assertEquals(
        List.of(), fixture.control.disks().listTrash(project, PageRequest.first()).items());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void anAbortedProvisionTakesEverythingBackAndTrashesWhatTheMachineMayHaveWritten()
      throws Exception {
    fixture.image("golden");
    fixture.node("n1", 1);
    Operation operation = provision("n1", "golden");
    fixture.reached(operation, OperationState.WAITING);
    fixture.control.operations().abort(project, operation.id().toString());
    assertEquals(OperationState.ABORTED, fixture.end(operation).state());
    assertEquals(Node.State.FREE, nodes.get(project, "n1").state());
    assertEquals(PowerState.OFF, fixture.power.machine("n1").state);
    assertEquals(1, fixture.control.disks().listTrash(project, PageRequest.first()).items().size());
    assertInstanceOf(BootDecision.NotProvisioned.class, nodes.bootDecision(Fixture.mac(1)));
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void aReleasedNodeIsOffAndKeepsItsDiskUnlessAskedOtherwise() throws Exception {
    fixture.image("golden");
    fixture.provisioned("n1", 1, "golden");
    UUID reserved = nodes.get(project, "n1").disk().orElseThrow().id();
    fixture.targets.reserve(reserved);
    fixture.succeeded(nodes.release(project, "n1", Nodes.ReleasedDisk.KEEP));
    assertFalse(fixture.targets.isReserved(reserved));
    assertEquals(PowerState.OFF, fixture.power.machine("n1").state);
    assertEquals(Node.State.FREE, nodes.get(project, "n1").state());
    Disk disk = fixture.control.disks().get(project, "n1");
    assertEquals("ready", disk.stateWord());
    Refused.with(
        ErrorCode.NODE_NOT_PROVISIONED,
        () -> nodes.release(project, "n1", Nodes.ReleasedDisk.KEEP));

    Operation again = nodes.provision(project, "n1", new BootDrive.OfDisk("n1"), List.of());
    fixture.reached(again, OperationState.WAITING);
    fixture.boots(nodes.get(project, "n1"));
    fixture.succeeded(again);
    fixture.succeeded(nodes.release(project, "n1", Nodes.ReleasedDisk.TRASH));
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.control.disks().get(project, "n1"));
    assertEquals(disk.id(), fixture.control.disks().undelete(project, "n1", Optional.empty()).id());
  }

  @Test
  void aReleaseSupersedesAProvisionThatWaits() throws Exception {
    fixture.image("golden");
    fixture.manualNode("n1", 1);
    Operation provision = provision("n1", "golden");
    fixture.reached(provision, OperationState.WAITING);
    fixture.succeeded(nodes.release(project, "n1", Nodes.ReleasedDisk.KEEP));
    Operation ended = fixture.end(provision);
    assertEquals(OperationState.ABORTED, ended.state());
    assertEquals(ErrorCode.SUPERSEDED, ended.error().orElseThrow().code());
    assertEquals(Node.State.FREE, nodes.get(project, "n1").state());
  }

  @Test
  void aFailoverFencesTheFirstNodeBeforeTheOtherStarts() throws Exception {
    fixture.image("golden");
    Node first = fixture.provisioned("n1", 1, "golden");
    UUID disk = first.disk().orElseThrow().id();
    Targets.Definition before = fixture.targets.definition(disk);
    Node second = fixture.node("n2", 2);
    fixture.power.machine("n1").broken = true;
    fixture.targets.calls.clear();
    fixture.targets.reserve(disk);
    Operation operation = nodes.failover(project, "n1", "n2");
    fixture.reached(operation, OperationState.WAITING);
    assertEquals(List.of("withdraw", "define for n2"), fixture.targets.calls);
    assertFalse(fixture.targets.isReserved(disk), "made by the machine that is gone");
    Targets.Definition after = fixture.targets.definition(disk);
    assertNotEquals(before.chap(), after.chap());
    assertEquals(Optional.of(second.initiatorName()), after.initiator());
    assertInstanceOf(BootDecision.NotProvisioned.class, nodes.bootDecision(Fixture.mac(1)));
    assertInstanceOf(BootDecision.Provisioned.class, nodes.bootDecision(Fixture.mac(2)));
    fixture.boots(second);
    fixture.succeeded(operation);
    assertEquals(Node.State.FREE, nodes.get(project, "n1").state());
    assertEquals(disk, nodes.get(project, "n2").disk().orElseThrow().id());
  }

  @Test
  void keysOfTheNodeAndOfTheProvisionGoWithTheDriveAlsoOnFailover() throws Exception {
    String ofNode = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA node@example";
    String given = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= given@example";
    fixture.image("golden");
    nodes.add(
        project,
        new NodeSpec(
            "n1",
            List.of(Fixture.mac(1)),
            Firmware.BIOS,
            "x86_64",
            Optional.of("fake:n1"),
            Optional.empty(),
            List.of(ofNode),
            AfterHostCrash.REBOOT));
    Node second = fixture.node("n2", 2);
    Operation first =
        nodes.provision(project, "n1", new BootDrive.OfImage("golden"), List.of(given, ofNode));
    fixture.reached(first, OperationState.WAITING);
    UUID disk = nodes.get(project, "n1").disk().orElseThrow().id();
    Targets.Identity before = fixture.targets.definition(disk).identity().orElseThrow();
    assertEquals(nodes.get(project, "n1").ref(), before.node());
    assertEquals(List.of(ofNode, given), before.sshKeys());
    fixture.reached(nodes.failover(project, "n1", "n2"), OperationState.WAITING);
    Targets.Identity after = fixture.targets.definition(disk).identity().orElseThrow();
    assertEquals(second.ref(), after.node());
    assertEquals(List.of(ofNode, given), after.sshKeys());
    assertNotEquals(before.phoneHomeToken(), after.phoneHomeToken());
    fixture.restart();
    assertEquals(
        List.of(ofNode, given),
        fixture.targets.definition(disk).identity().orElseThrow().sshKeys());
  }

  @Test
  void whatIsNoPublicKeyIsRefusedWithoutRepeatingIt() {
    fixture.node("n1", 1);
    String secret = "-----BEGIN OPENSSH PRIVATE KEY-----";
    ControlException e =
        Refused.with(
            ErrorCode.FIELD_INVALID,
            () -> nodes.provision(project, "n1", new BootDrive.OfImage("golden"), List.of(secret)));
    assertEquals("sshKeys[0]", e.field().orElseThrow());
    assertFalse(e.toString().contains("PRIVATE"), e.toString());
    String options = "command=\"x\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA";
    Refused.with(
        ErrorCode.FIELD_INVALID,
        () -> nodes.provision(project, "n1", new BootDrive.OfImage("golden"), List.of(options)));
    Refused.with(
        ErrorCode.FIELD_INVALID,
        () ->
            nodes.provision(
                project,
                "n1",
                new BootDrive.OfImage("golden"),
                List.of("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA a\nssh-ed25519 AAAA")));
    assertEquals(Node.State.FREE, nodes.get(project, "n1").state());
  }

  @Test
  void aFailoverToABusyOrTheSameNodeIsRefused() throws Exception {
    fixture.image("golden");
    fixture.provisioned("n1", 1, "golden");
    fixture.provisioned("n2", 2, "golden");
    Refused.with(ErrorCode.NODE_PROVISIONED, () -> nodes.failover(project, "n1", "n2"));
    Refused.with(ErrorCode.FIELD_INVALID, () -> nodes.failover(project, "n1", "n1"));
    Refused.with(ErrorCode.NOT_FOUND, () -> nodes.failover(project, "n1", "n3"));
    assertEquals(Node.State.PROVISIONED, nodes.get(project, "n1").state());
  }

  @Test
  void aDiskBelongsToOneNodeAndIsProtectedByThat() throws Exception {
    fixture.image("golden");
    fixture.provisioned("n1", 1, "golden");
    fixture.node("n2", 2);
    ControlException e =
        Refused.with(
            ErrorCode.DISK_ATTACHED,
            () -> nodes.provision(project, "n2", new BootDrive.OfDisk("n1"), List.of()));
    assertTrue(e.hint().orElseThrow().contains("m2 node release n1"));
    Refused.with(
        ErrorCode.DISK_ATTACHED,
        () -> fixture.control.disks().delete(project, "n1", Disks.Deletion.TRASH));
    Refused.with(
        ErrorCode.DISK_ATTACHED,
        () -> fixture.control.disks().expose(project, "n1", WriteCache.WRITE_THROUGH));
    Refused.with(ErrorCode.NODE_PROVISIONED, () -> provision("n1", "golden"));
    Refused.with(ErrorCode.NODE_PROVISIONED, () -> nodes.delete(project, "n1"));
    Node node = nodes.get(project, "n1");
    NodeSpec moved =
        new NodeSpec(
            node.name(),
            node.nics(),
            node.firmware(),
            node.arch(),
            node.bmc(),
            Optional.of("10.0.0.21"),
            node.sshKeys(),
            AfterHostCrash.REBOOT);
    Refused.with(
        ErrorCode.NODE_PROVISIONED, () -> nodes.change(project, "n1", moved, Optional.empty()));
    fixture.snapshot("live", "n1");
  }

  @Test
  void anAddressIsReservedForOneNodeOverAllProjects() {
    UUID other = fixture.control.projects().create("addresses").id();
    NodeSpec spec = withAddress("n1", 1, "10.0.0.21");
    nodes.add(project, spec);
    assertTrue(nodes.isReserved("10.0.0.21"));
    assertFalse(nodes.isReserved("10.0.0.22"));
    ControlException e =
        Refused.with(
            ErrorCode.ADDRESS_TAKEN, () -> nodes.add(other, withAddress("n2", 2, "10.0.0.21")));
    assertFalse(e.message().contains("n1"), "names of other projects stay there");
    assertEquals(
        "10.0.0.21", nodes.change(project, "n1", spec, Optional.empty()).address().orElseThrow());
    for (String wrong :
        List.of(
            "10.0.0",
            "10.0.0.256",
            "10.0.0.1/24",
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "10.0.0.1.",
            "host",
            "fd00::1",
            "010.0.0.1")) {
      Refused.with(ErrorCode.FIELD_INVALID, () -> nodes.add(project, withAddress("n3", 3, wrong)));
    }
    nodes.delete(project, "n1");
    nodes.add(other, withAddress("n2", 2, "10.0.0.21"));
  }

  private static NodeSpec withAddress(String name, int number, String address) {
    return new NodeSpec(
        name,
        List.of(Fixture.mac(number)),
        Firmware.BIOS,
        "x86_64",
        Optional.empty(),
        Optional.of(address),
        List.of(),
        AfterHostCrash.REBOOT);
  }

  @Test
  void aMacAddressIdentifiesOneNodeOverAllProjects() {
    fixture.node("n1", 1);
    UUID other = fixture.control.projects().create("other").id();
    ControlException e =
        Refused.with(
            ErrorCode.MAC_TAKEN, () -> nodes.add(other, Fixture.spec("spy", 1, Optional.empty())));
    assertFalse(e.message().contains("n1"), "names of other projects stay there");
    ControlException mine = Refused.with(ErrorCode.MAC_TAKEN, () -> fixture.node("n2", 1));
    assertTrue(mine.message().contains("'n1'"));
    Refused.with(
        ErrorCode.BMC_INVALID,
        () -> nodes.add(project, Fixture.spec("n3", 3, Optional.of("bogus://x"))));
    Refused.with(
        ErrorCode.FIELD_INVALID,
        () ->
            nodes.add(
                project,
                new NodeSpec(
                    "n3",
                    List.of(),
                    Firmware.UEFI,
                    "x86_64",
                    Optional.empty(),
                    Optional.empty(),
                    List.of(),
                    AfterHostCrash.REBOOT)));
    nodes.delete(project, "n1");
    nodes.add(other, Fixture.spec("mine-now", 1, Optional.empty()));
  }

  @Test
  void powerCanBeSwitchedAlsoWhileAProvisionWaits() throws Exception {
    fixture.image("golden");
    fixture.node("n1", 1);
    Operation provision = provision("n1", "golden");
    fixture.reached(provision, OperationState.WAITING);
    fixture.succeeded(nodes.switchPower(project, "n1", PowerAction.CYCLE));
    assertEquals(2, nodes.get(project, "n1").latestBoot());
    fixture.boots(nodes.get(project, "n1"));
    fixture.succeeded(provision);
    fixture.power.machine("n1").state = PowerState.OFF;
    assertEquals(PowerState.OFF, nodes.power(project, "n1"));
    assertEquals(PowerState.OFF, nodes.get(project, "n1").power());
    fixture.manualNode("n2", 2);
    Refused.with(
        ErrorCode.NODE_HAS_NO_POWER_DRIVER, () -> nodes.switchPower(project, "n2", PowerAction.ON));
  }

  @Test
  void afterARestartTheTargetsAreThereBeforeOperationsGoOn() throws Exception {
    fixture.image("golden");
    Node node = fixture.provisioned("n1", 1, "golden");
    UUID disk = node.disk().orElseThrow().id();
    Targets.Definition before = fixture.targets.definition(disk);
    fixture.crash();
    assertFalse(fixture.targets.defined().contains(disk));
    fixture.control.start();
    assertEquals(before, fixture.targets.definition(disk));
  }

  @Test
  void theWayToPowerOnIsFourTransactionsLongWhateverTheSize() throws Exception {
    for (long sizeBytes : new long[] {1L << 30, 1L << 40}) {
      fixture.imports.sizeBytes = sizeBytes;
      fixture.image("golden-" + sizeBytes);
      fixture.node("n-" + sizeBytes, Long.numberOfTrailingZeros(sizeBytes));
      AtomicInteger atPowerOn = new AtomicInteger();
      AtomicLong atNanos = new AtomicLong();
      fixture.power.machine("n-" + sizeBytes).onSwitchOn =
          () -> {
            atPowerOn.set(fixture.database.writes.get());
            atNanos.set(System.nanoTime());
          };
      int before = fixture.database.writes.get();
      long beforeNanos = System.nanoTime();
      fixture.reached(provision("n-" + sizeBytes, "golden-" + sizeBytes), OperationState.WAITING);
      // One that starts the operation, and one each after clone, target and boot order.
      assertEquals(4, atPowerOn.get() - before);
      System.out.printf(
          "provision to power-on, %d GiB: %.1f ms%n",
          sizeBytes >> 30, (atNanos.get() - beforeNanos) / 1e6);
    }
  }
}
