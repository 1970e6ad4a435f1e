package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.control.FaultPoints.Moment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
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

/** What the rows say of targets and what is served are the same, whatever fails below. */
final class TargetStateTest {
  private Fixture fixture;
  private UUID project;

  @BeforeEach
  void open(@TempDir Path directory) throws Exception {
    fixture = new Fixture(directory);
    fixture.image("golden");
    project = fixture.project();
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  private Disk exposed(String name) throws InterruptedException {
    Disk disk = fixture.disk(name, "golden");
    fixture.succeeded(fixture.control.disks().expose(project, name, WriteCache.WRITE_THROUGH));
    return disk;
  }

  /** Cannot be opened any more, from the next start on. */
  private void damage(UUID volume) throws IOException {
    Files.write(fixture.directory.resolve("volumes/volumes/" + volume), new byte[100]);
  }

  private List<String> events(String kind) {
    return fixture.control.events().list(Optional.of(project), PageRequest.first()).items().stream()
        .filter(event -> event.kind().equals(kind))
        .map(Event::message)
        .toList();
  }

  private static String detail(Operation operation, String step) {
    return operation.steps().stream()
        .filter(each -> each.name().equals(step))
        .findFirst()
        .flatMap(OperationStep::detail)
        .orElse("");
  }

  @Test
  void aDiskThatCannotBeFlushedIsWithdrawnAndTheLossIsTold() throws Exception {
    exposed("data");
    fixture.targets.failsToFlush = true;
    Operation withdrawn = fixture.succeeded(fixture.control.disks().withdraw(project, "data"));
    assertEquals(
        "not flushed, so writes may be lost: no sync today", detail(withdrawn, "withdraw"));
    assertEquals(Optional.of(detail(withdrawn, "withdraw")), withdrawn.warning());
    assertEquals(
        List.of(
            "The disk 'data' was withdrawn and could not be flushed (no sync today): what was"
                + " written since its last flush may be lost. Check its file systems before it is"
                + " used again."),
        events("disk.unflushed"));
    assertEquals("ready", fixture.control.disks().get(project, "data").stateWord());
    assertEquals(List.of(), fixture.control.inconsistencies());
    fixture.succeeded(fixture.control.disks().expose(project, "data", WriteCache.WRITE_THROUGH));
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void aNodeIsReleasedAndFailsOverWhenItsDiskCannotBeFlushed() throws Exception {
    fixture.provisioned("n1", 1, "golden");
    Node other = fixture.node("n2", 2);
    fixture.targets.failsToFlush = true;
    Operation failover = fixture.control.nodes().failover(project, "n1", "n2");
    fixture.reached(failover, OperationState.WAITING);
    fixture.boots(other);
    assertTrue(detail(fixture.succeeded(failover), "withdraw").contains("no sync today"));
    fixture.succeeded(fixture.control.nodes().release(project, "n2", Nodes.ReleasedDisk.KEEP));
    assertEquals(2, events("disk.unflushed").size());
    assertEquals(Node.State.FREE, fixture.control.nodes().get(project, "n2").state());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void anAbortedProvisionTellsWhatItsMachineMayHaveLost() throws Exception {
    fixture.node("n1", 1);
    Operation operation =
        fixture.reached(
            fixture
                .control
                .nodes()
                .provision(project, "n1", new BootDrive.OfImage("golden"), List.of()),
            OperationState.WAITING);
    fixture.targets.failsToFlush = true;
    fixture.control.operations().abort(project, operation.id().toString());
    assertEquals(OperationState.ABORTED, fixture.end(operation).state());
    assertEquals(1, events("disk.unflushed").size());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void theServerStartsWhenEveryBoundDiskIsDamagedAndTheirNodesCanBeReleased() throws Exception {
    UUID disk = fixture.provisioned("n1", 1, "golden").disk().orElseThrow().id();
    UUID open = exposed("open").id();
    fixture.crash();
    damage(disk);
    damage(open);
    fixture.restart();
    assertEquals(Set.of(), fixture.targets.defined());
    assertEquals(2, events("disk.damaged").size());
    assertEquals("damaged", fixture.control.disks().get(project, "open").stateWord());
    assertInstanceOf(
        BootDecision.NotYet.class, fixture.control.nodes().bootDecision(Fixture.mac(1)));
    fixture.succeeded(fixture.control.nodes().release(project, "n1", Nodes.ReleasedDisk.TRASH));
    fixture.succeeded(fixture.control.disks().withdraw(project, "open"));
    fixture.succeeded(fixture.control.disks().delete(project, "open", Disks.Deletion.PURGE));
    fixture.succeeded(
        fixture.control.disks().delete(project, disk.toString(), Disks.Deletion.PURGE));
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void theServerDoesNotStartWhenNoTargetCanBeMadeOfSoundDisks() throws Exception {
    UUID bad = exposed("bad").id();
    exposed("good");
    fixture.crash();
    damage(bad);
    fixture.crash();
    fixture.targets.failsToDefine = true;
    Refused.with(ErrorCode.IO_FAILED, () -> fixture.control.start());
    assertEquals(List.of(), events("disk.damaged"), "it is not the disks");
  }

  @Test
  void anExposedDiskWithoutATargetIsExposedAgainWithTheSecretThatItHad() throws Exception {
    UUID lost = exposed("lost").id();
    exposed("other");
    Targets.Definition before = fixture.targets.definition(lost);
    fixture.crash();
    fixture.targets.refused = Optional.of(lost);
    fixture.control.start();
    fixture.control.resumeOperations();
    assertEquals("exposed", fixture.control.disks().get(project, "lost").stateWord());
    assertEquals(Optional.empty(), fixture.control.disks().exposure(project, "lost"));
    fixture.targets.refused = Optional.empty();
    fixture.succeeded(fixture.control.disks().expose(project, "lost", WriteCache.WRITE_THROUGH));
    assertEquals(before, fixture.targets.definition(lost));
    assertTrue(fixture.control.disks().exposure(project, "lost").isPresent());
    assertEquals(List.of(), fixture.control.inconsistencies());
    Refused.with(
        ErrorCode.DISK_EXPOSED,
        () -> fixture.control.disks().expose(project, "lost", WriteCache.WRITE_THROUGH));
  }

  @Test
  void aDiskThatCannotBeExposedAgainIsNotExposedAnyMore() throws Exception {
    UUID lost = exposed("lost").id();
    exposed("other");
    fixture.crash();
    damage(lost);
    fixture.restart();
    Operation again =
        fixture.end(fixture.control.disks().expose(project, "lost", WriteCache.WRITE_THROUGH));
    assertEquals(OperationState.FAILED, again.state());
    assertEquals(ErrorCode.STORE_CORRUPT, again.error().orElseThrow().code(), again::toString);
    assertEquals(new Disk.Use.Idle(), fixture.control.disks().get(project, "lost").use());
  }

  @Test
  void anAbortedReleaseOfADamagedDiskEnds() throws Exception {
    UUID disk = fixture.provisioned("n1", 1, "golden").disk().orElseThrow().id();
    Operation release = releaseKilledAtPowerOff();
    damage(disk);
    fixture.crash();
    fixture.control.start();
    fixture.control.operations().abort(project, release.id().toString());
    fixture.control.resumeOperations();
    assertEquals(OperationState.ABORTED, fixture.end(release).state());
    assertEquals(2, events("disk.damaged").size(), "at the start, and when it was taken back");
    assertEquals(Node.State.PROVISIONED, fixture.control.nodes().get(project, "n1").state());
    fixture.succeeded(fixture.control.nodes().release(project, "n1", Nodes.ReleasedDisk.KEEP));
  }

  @Test
  void anAbortedReleaseTriesUntilTheTargetIsThereAgain() throws Exception {
    UUID disk = fixture.provisioned("n1", 1, "golden").disk().orElseThrow().id();
    exposed("other");
    Operation release = releaseKilledAtPowerOff();
    fixture.targets.refused = Optional.of(disk);
    fixture.control.start();
    CountDownLatch tried = new CountDownLatch(1);
    fixture.faults =
        (_, step, moment) -> {
          if (step.equals("restore") && moment == Moment.BEFORE) {
            tried.countDown();
          }
        };
    fixture.control.operations().abort(project, release.id().toString());
    assertTrue(tried.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    Operation hanging = release;
    while (!detail(hanging, "power-off").contains("is retried")) {
      hanging =
          fixture
              .control
              .operations()
              .await(project, release.id().toString(), hanging.revision(), Fixture.PATIENCE_MILLIS);
    }
    assertEquals(OperationState.ABORTING, hanging.state());
    assertEquals(Node.State.RELEASING, fixture.control.nodes().get(project, "n1").state());
    fixture.targets.refused = Optional.empty();
    while (!hanging.state().isFinal()) {
      fixture.clock.advance(Duration.ofMinutes(1));
      fixture.control.tick();
      hanging =
          fixture
              .control
              .operations()
              .await(project, release.id().toString(), hanging.revision(), 100);
    }
    assertEquals(OperationState.ABORTED, hanging.state());
    assertEquals(Node.State.PROVISIONED, fixture.control.nodes().get(project, "n1").state());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  /** The server ends while the machine is switched off; the next one is not started yet. */
  private Operation releaseKilledAtPowerOff() throws Exception {
    CountDownLatch reached =
        fixture.endAt(Fixture.name(OperationKind.NODE_RELEASE, "power-off", Moment.BEFORE));
    Operation release = fixture.control.nodes().release(project, "n1", Nodes.ReleasedDisk.KEEP);
    assertTrue(reached.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    fixture.crash();
    return release;
  }

  @Test
  void aMachineThatIsReleasedKeepsItsTargetUntilThatIsTakenAwayAlsoOverARestart() throws Exception {
    UUID disk = fixture.provisioned("n1", 1, "golden").disk().orElseThrow().id();
    Operation release = releaseKilledAtPowerOff();
    fixture.control.start();
    assertEquals(Set.of(disk), fixture.targets.defined(), "it may be aborted, and runs meanwhile");
    fixture.control.resumeOperations();
    fixture.succeeded(release);
    assertEquals(Set.of(), fixture.targets.defined());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }
}
