package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.hardware.PowerState;
import io.malleable.volume.VolumeException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The host of the server went down while disks were written to, and machines lived on. */
final class HostCrashTest {
  private Fixture fixture;

  @BeforeEach
  void open(@TempDir Path directory) throws Exception {
    fixture = new Fixture(directory);
    fixture.image("golden");
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  /** The server's host went down and is up again, as far as before the portal opens. */
  private void hostCrash(UUID... disks) throws IOException {
    fixture.crash();
    fixture.clock.advance(Duration.ofMinutes(3));
    fixture.lostWrites.addAll(List.of(disks));
    fixture.control.start();
  }

  private Node node(String name) {
    return fixture.control.nodes().get(fixture.project(), name);
  }

  private static UUID diskOf(Node node) {
    return node.disk().orElseThrow().id();
  }

  private Explanation explain() {
    return fixture.control.nodes().explain(fixture.project(), "n1");
  }

  private Binding binding(UUID disk) {
    return fixture.database.read(rows -> rows.bindings().ofDisk(disk)).orElseThrow();
  }

  /** All of the node-power kind, the oldest first. */
  private List<Operation> powerOperations() {
    return fixture
        .control
        .operations()
        .list(
            fixture.project(),
            new OperationFilter(
                Optional.of(OperationKind.NODE_POWER), Optional.empty(), Optional.empty()),
            PageRequest.first())
        .items()
        .reversed();
  }

  private List<Event> eventsOfLostWrites() {
    return fixture
        .control
        .events()
        .list(Optional.of(fixture.project()), PageRequest.first())
        .items()
        .stream()
        .filter(event -> event.kind().equals("disk.writes-lost"))
        .toList();
  }

  private Operation provision(BootDrive drive) {
    return fixture.control.nodes().provision(fixture.project(), "n1", drive, List.of());
  }

  private Node runningManually() throws Exception {
    Node node = fixture.manualNode("n1", 1);
    Operation operation = provision(new BootDrive.OfImage("golden"));
    fixture.reached(operation, OperationState.WAITING);
    fixture.boots(node);
    fixture.succeeded(operation);
    return node("n1");
  }

  @Test
  void theOldSecretIsWorthNothingBeforeThereIsATargetAgain() throws Exception {
    UUID disk = diskOf(runningManually());
    Binding before = binding(disk);
    hostCrash(disk);
    ChapCredentials chap = fixture.targets.definition(disk).chap();
    assertEquals(before.chap().username(), chap.username());
    assertNotEquals(before.chap().secret(), chap.secret());
    assertEquals(chap, binding(disk).chap(), "durable");
    assertNotEquals(
        before.phoneHomeToken(),
        fixture.targets.definition(disk).identity().orElseThrow().phoneHomeToken());
    assertFalse(fixture.control.bootEvents().onPhoneHome(before.phoneHomeToken()));
    BootDecision decision = fixture.control.nodes().bootDecision(Fixture.mac(1));
    assertTrue(
        decision instanceof BootDecision.Provisioned script && script.chap().equals(chap),
        decision.toString());
    assertEquals(Set.of(), fixture.lostWrites, "the store may forget it now");
  }

  @Test
  void aMachineWithoutAPowerDriverIsHeldUntilSomebodyRebootsIt() throws Exception {
    UUID disk = diskOf(runningManually());
    hostCrash(disk);
    fixture.control.resumeOperations();
    fixture.control.tick();
    assertEquals(List.of(), powerOperations());
    assertTrue(node("n1").isHeld());
    Explanation why = explain();
    assertTrue(why.summary().startsWith("The machine is held until it reboots."), why.toString());
    assertTrue(why.summary().contains("writes that were acknowledged may be lost"), why.toString());
    assertTrue(why.cause().orElseThrow().contains("no power driver"), why.toString());
    assertTrue(why.fix().orElseThrow().startsWith("Restart it by hand"), why.toString());
    assertEquals(Optional.of(BootStage.OS_LOGIN), why.reached());
    assertEquals(Optional.of(BootStage.BOOT_SCRIPT), why.missing());
    Event event = eventsOfLostWrites().getFirst();
    assertEquals(disk, event.subject().orElseThrow().id());
    assertTrue(event.message().contains("The node 'n1' is held"), event.message());
    assertTrue(event.message().contains("the disk 'n1'"), event.message());

    fixture.restart();
    assertTrue(node("n1").isHeld(), "also after a restart");
    assertEquals(1, eventsOfLostWrites().size());

    fixture.boots(node("n1"));
    assertEquals(Optional.empty(), node("n1").lostWrites());
    assertTrue(explain().summary().contains("it has its drive"), explain().toString());
  }

  @Test
  void aMachineThatFetchedItsScriptIsNotHeldAnyMoreButMustStillLogIn() throws Exception {
    Node node = runningManually();
    hostCrash(diskOf(node));
    fixture.clock.advance(Duration.ofSeconds(1));
    fixture.control.bootEvents().onScript(Fixture.mac(1), "bios", "192.0.2.7");
    fixture.control.timeline().drain();
    assertFalse(node("n1").isHeld());
    assertTrue(node("n1").lostWrites().isPresent());
    assertEquals(Optional.of(BootStage.FIRMWARE_LOGIN), explain().missing());
  }

  @Test
  void aMachineWithAPowerDriverIsRebootedOnceAndComesBack() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    FakePower.Machine machine = fixture.power.machine("n1");
    hostCrash(disk);
    assertTrue(
        explain().cause().orElseThrow().contains("has not come to rebooting it"),
        explain().toString());
    machine.calls.clear();
    fixture.control.resumeOperations();
    fixture.control.tick();
    Operation operation = powerOperations().getFirst();
    assertEquals(
        Optional.of(operation.id()), binding(disk).lostWrites().orElseThrow().powerCycle());
    fixture.succeeded(operation);
    assertEquals(List.of("off", "network", "on"), machine.calls);
    assertFalse(node("n1").isHeld(), "it boots");
    fixture.control.tick();
    fixture.restart();
    fixture.control.tick();
    fixture.boots(node("n1"));
    assertEquals(Optional.empty(), node("n1").lostWrites());
    fixture.control.tick();
    assertEquals(1, powerOperations().size());
    assertEquals(List.of("off", "network", "on"), machine.calls);
  }

  @Test
  void aServerThatEndsBeforeTheStoreForgetsChangesTheSecretAgainAndRebootsOnce() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    FakePower.Machine machine = fixture.power.machine("n1");
    Binding first = binding(disk);
    fixture.endsBeforeForgetting = true;
    assertThrows(Engine.Abandoned.class, () -> hostCrash(disk));
    Binding second = binding(disk);
    assertNotEquals(first.chap(), second.chap());
    assertEquals(Set.of(), fixture.targets.defined(), "nobody could log in");
    machine.calls.clear();
    hostCrash();
    assertNotEquals(second.chap(), binding(disk).chap());
    assertEquals(Set.of(), fixture.lostWrites);
    fixture.control.resumeOperations();
    fixture.control.tick();
    fixture.succeeded(powerOperations().getFirst());
    fixture.control.tick();
    assertEquals(List.of("off", "network", "on"), machine.calls);
  }

  @Test
  void aServerThatEndsBeforeTheRebootBeganBeginsItAtTheNextStart() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    hostCrash(disk);
    fixture.restart();
    fixture.control.tick();
    assertEquals(1, powerOperations().size());
    fixture.succeeded(powerOperations().getFirst());
    assertFalse(node("n1").isHeld());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "power-state:before",
        "power-state:after",
        "boot-order:before",
        "boot-order:after",
        "power-on:before",
        "power-on:after"
      })
  void aServerThatEndsWhileItRebootsAMachineLeavesItNeitherOffNorRebootedTwice(String point)
      throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    FakePower.Machine machine = fixture.power.machine("n1");
    List<PowerState> switchedOnFrom = new ArrayList<>();
    machine.onSwitchOn = () -> switchedOnFrom.add(machine.state);
    hostCrash(disk);
    CountDownLatch reached = fixture.endAt("node-power:" + point);
    fixture.control.tick();
    assertTrue(reached.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    fixture.restart();
    fixture.control.tick();
    assertEquals(1, powerOperations().size());
    fixture.succeeded(powerOperations().getFirst());
    assertEquals(PowerState.ON, machine.state);
    assertEquals(
        1,
        switchedOnFrom.stream().filter(from -> from == PowerState.OFF).count(),
        switchedOnFrom.toString());
    assertFalse(node("n1").isHeld());
  }

  @Test
  void aMachineThatSomebodySwitchedOffStaysOff() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    FakePower.Machine machine = fixture.power.machine("n1");
    machine.state = PowerState.OFF;
    machine.calls.clear();
    hostCrash(disk);
    fixture.control.tick();
    fixture.succeeded(powerOperations().getFirst());
    assertEquals(List.of(), machine.calls);
    assertEquals(PowerState.OFF, machine.state);
    assertTrue(explain().cause().orElseThrow().contains("It was off"), explain().toString());
    assertTrue(explain().fix().orElseThrow().endsWith("m2 node power n1 on"), explain().toString());
  }

  @Test
  void aRebootThatFailsIsToldWithItsCauseAndWhatToDo() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    fixture.power.machine("n1").broken = true;
    hostCrash(disk);
    fixture.control.tick();
    Operation failed = fixture.end(powerOperations().getFirst());
    assertEquals(OperationState.FAILED, failed.state());
    assertTrue(node("n1").isHeld());
    Explanation why = explain();
    assertTrue(why.cause().orElseThrow().contains("the BMC does not answer"), why.toString());
    assertTrue(
        why.fix().orElseThrow().contains("Reboot it: m2 node power n1 cycle"), why.toString());
    Event event =
        fixture
            .control
            .events()
            .list(Optional.of(fixture.project()), PageRequest.first())
            .items()
            .getFirst();
    assertEquals("operation.failed", event.kind());
    assertEquals(Optional.of(node("n1").ref()), event.subject());
    fixture.control.tick();
    assertEquals(1, powerOperations().size(), "it does not switch for ever");

    fixture.power.machine("n1").broken = false;
    fixture.succeeded(
        fixture.control.nodes().switchPower(fixture.project(), "n1", PowerAction.CYCLE));
    assertFalse(node("n1").isHeld());
  }

  @Test
  void aMachineThatAnOperationWorksOnIsRebootedAfterwards() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    CountDownLatch reached = new CountDownLatch(1);
    fixture.faults =
        (_, _, _) -> {
          reached.countDown();
          throw new Engine.Abandoned();
        };
    fixture.control.nodes().switchPower(fixture.project(), "n1", PowerAction.ON);
    assertTrue(reached.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    hostCrash(disk);
    fixture.control.tick();
    assertEquals(1, powerOperations().size(), "the node is busy");
    fixture.control.resumeOperations();
    fixture.succeeded(powerOperations().getFirst());
    assertTrue(node("n1").isHeld(), "it was on, so that changed nothing");
    fixture.control.tick();
    assertEquals(2, powerOperations().size());
    fixture.succeeded(powerOperations().getLast());
    assertFalse(node("n1").isHeld());
  }

  @Test
  void aMachineThatWasBootingForAProvisionBootsAgainForIt() throws Exception {
    Node node = fixture.node("n1", 1);
    Operation provision = provision(new BootDrive.OfImage("golden"));
    fixture.reached(provision, OperationState.WAITING);
    hostCrash(diskOf(node("n1")));
    fixture.control.resumeOperations();
    fixture.control.tick();
    fixture.succeeded(powerOperations().getFirst());
    fixture.boots(node);
    fixture.succeeded(provision);
    assertEquals(Optional.empty(), node("n1").lostWrites());
  }

  @Test
  void manyMachinesAreRebootedSomeAtATime() throws Exception {
    int machines = HostCrashes.MAX_AT_ONCE + 4;
    List<UUID> disks = new ArrayList<>();
    for (int i = 1; i <= machines; i++) {
      disks.add(diskOf(fixture.provisioned("n" + i, i, "golden")));
    }
    CountDownLatch release = new CountDownLatch(1);
    for (int i = 1; i <= machines; i++) {
      fixture.power.machine("n" + i).calls.clear();
      fixture.power.machine("n" + i).onSwitchOn =
          () -> {
            try {
              assertTrue(release.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          };
    }
    hostCrash(disks.toArray(UUID[]::new));
    for (int i = 0; i < 3; i++) {
      fixture.control.tick();
      assertEquals(HostCrashes.MAX_AT_ONCE, powerOperations().size());
    }
    release.countDown();
    for (Operation operation : powerOperations()) {
      fixture.succeeded(operation);
    }
    fixture.control.tick();
    for (Operation operation : powerOperations()) {
      fixture.succeeded(operation);
    }
    fixture.control.tick();
    assertEquals(machines, powerOperations().size());
    for (int i = 1; i <= machines; i++) {
      assertEquals(List.of("off", "network", "on"), fixture.power.machine("n" + i).calls);
    }
  }

  @Test
  void aWriteThroughNodeLosesNothingAndGoesOn() throws Exception {
    fixture.control.nodes().add(fixture.project(), writeThrough("n1", 1));
    Operation operation = provision(new BootDrive.OfImage("golden"));
    fixture.reached(operation, OperationState.WAITING);
    fixture.boots(node("n1"));
    fixture.succeeded(operation);
    UUID disk = diskOf(node("n1"));
    assertEquals(WriteCache.WRITE_THROUGH, fixture.targets.definition(disk).writeCache());
    ChapCredentials chap = binding(disk).chap();
    hostCrash(disk);
    fixture.control.tick();
    assertEquals(WriteCache.WRITE_THROUGH, fixture.targets.definition(disk).writeCache());
    assertEquals(chap, fixture.targets.definition(disk).chap());
    assertEquals(Set.of(), fixture.lostWrites);
    assertEquals(Optional.empty(), node("n1").lostWrites());
    assertEquals(List.of(), powerOperations());
    assertEquals(List.of(), eventsOfLostWrites());
  }

  private static NodeSpec writeThrough(String name, int number) {
    return new NodeSpec(
        name,
        List.of(Fixture.mac(number)),
        Firmware.BIOS,
        "x86_64",
        Optional.of("fake:" + name),
        Optional.empty(),
        List.of(),
        AfterHostCrash.WRITE_THROUGH);
  }

  @Test
  void thePolicyOfANodeChangesOnlyWhileNoMachineRuns() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    Nodes nodes = fixture.control.nodes();
    ControlException refusal =
        Refused.with(
            ErrorCode.NODE_PROVISIONED,
            () -> nodes.change(fixture.project(), "n1", writeThrough("n1", 1), Optional.empty()));
    assertTrue(refusal.hint().orElseThrow().contains("m2 node release n1"), refusal.toString());
    assertEquals(WriteCache.WRITE_BACK, fixture.targets.definition(disk).writeCache());
    fixture.succeeded(nodes.release(fixture.project(), "n1", Nodes.ReleasedDisk.KEEP));
    Node changed = nodes.change(fixture.project(), "n1", writeThrough("n1", 1), Optional.empty());
    assertEquals(AfterHostCrash.WRITE_THROUGH, changed.afterHostCrash());
  }

  @Test
  void anotherMachineThatTakesADiskOverIsNotHeldAndBringsItsOwnPolicy() throws Exception {
    UUID disk = diskOf(fixture.provisioned("n1", 1, "golden"));
    fixture.control.nodes().add(fixture.project(), writeThrough("n2", 2));
    hostCrash(disk);
    Operation failover = fixture.control.nodes().failover(fixture.project(), "n1", "n2");
    fixture.reached(failover, OperationState.WAITING);
    assertEquals(Optional.empty(), node("n2").lostWrites());
    assertEquals(Optional.empty(), node("n1").lostWrites());
    assertEquals(WriteCache.WRITE_THROUGH, fixture.targets.definition(disk).writeCache());
    fixture.control.tick();
    assertEquals(List.of(), powerOperations());
  }

  @ParameterizedTest
  @EnumSource(WriteCache.class)
  void anExposedDiskIsLockedOnlyIfItHadAWriteCache(WriteCache writeCache) throws Exception {
    Disk disk = fixture.disk("data", "golden");
    fixture.succeeded(fixture.control.disks().expose(fixture.project(), "data", writeCache));
    ChapCredentials chap = binding(disk.id()).chap();
    hostCrash(disk.id());
    assertEquals(Set.of(), fixture.lostWrites);
    boolean cached = writeCache == WriteCache.WRITE_BACK;
    assertEquals(!cached, chap.equals(fixture.targets.definition(disk.id()).chap()));
    assertEquals(cached, lostWritesOfExposed().isPresent());
    assertEquals(cached ? 1 : 0, eventsOfLostWrites().size());
    fixture.control.bootEvents().onLogin(disk.id(), "iqn.2026-11.example:me", 1);
    fixture.control.timeline().drain();
    assertEquals(Optional.empty(), lostWritesOfExposed());
  }

  private Optional<LostWrites> lostWritesOfExposed() {
    return fixture.control.disks().get(fixture.project(), "data").use()
            instanceof Disk.Use.Exposed use
        ? use.lostWrites()
        : Optional.empty();
  }

  @Test
  void disksThatNobodyHasAndThatAreNotThereAreForgotten() throws Exception {
    Disk idle = fixture.disk("idle", "golden");
    hostCrash(idle.id(), UUID.randomUUID());
    assertEquals(Set.of(), fixture.lostWrites);
    assertEquals(List.of(), eventsOfLostWrites());
  }

  @Test
  void aTargetThatWasYetToComeHasNoUsers() throws Exception {
    Disk data = fixture.disk("data", "golden");
    fixture.node("n1", 1);
    CountDownLatch reached = fixture.endAt("node-provision:expose:before");
    provision(new BootDrive.OfDisk("data"));
    assertTrue(reached.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    hostCrash(data.id());
    assertEquals(Set.of(), fixture.lostWrites);
    assertEquals(Optional.empty(), node("n1").lostWrites());
  }

  @Test
  void aDamagedDiskAndAStoreThatCannotForgetDoNotKeepTheOthersFromStarting() throws Exception {
    UUID good = diskOf(fixture.provisioned("n1", 1, "golden"));
    UUID damaged = diskOf(fixture.provisioned("n2", 2, "golden"));
    UUID stuck = diskOf(fixture.provisioned("n3", 3, "golden"));
    fixture.unforgettable.add(stuck);
    fixture.crash();
    fixture.volumes.delete(damaged);
    fixture.lostWrites.addAll(Set.of(good, damaged, stuck));
    fixture.control.start();
    assertEquals(Set.of(good, stuck), fixture.targets.defined());
    assertEquals(Set.of(stuck), fixture.lostWrites);
    assertTrue(node("n3").isHeld());
    fixture.unforgettable.clear();
    fixture.clock.advance(Duration.ofMinutes(2));
    fixture.control.tick();
    assertEquals(Set.of(), fixture.lostWrites);
  }

  @Test
  void aStoreThatDoesNotSayWhatWasLostKeepsTheServerFromLettingAnybodyIn() throws Exception {
    fixture.provisioned("n1", 1, "golden");
    fixture.crash();
    fixture.outage =
        new VolumeException(VolumeException.Reason.UNAVAILABLE, "the store does not answer");
    Refused.with(ErrorCode.STORE_UNAVAILABLE, () -> fixture.control.start());
    fixture.outage = null;
    assertEquals(Set.of(), fixture.targets.defined());
  }
}
