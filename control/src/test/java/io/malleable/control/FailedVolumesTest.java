package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeFault;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A disk whose storage failed is known everywhere, and told once. */
final class FailedVolumesTest {
  private static final Instant SINCE = Instant.parse("2026-11-05T06:07:08Z");

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

  private static VolumeFault fault(OptionalInt percent) {
    return new VolumeFault("fsync: Input/output error", SINCE, percent);
  }

  private void fails(UUID volume, OptionalInt percent) {
    fixture.volumeFaults = Map.of(volume, fault(percent));
    fixture.control.tick();
  }

  private void isWell() {
    fixture.volumeFaults = Map.of();
    fixture.control.tick();
  }

  /** Those about storage, oldest first. */
  private List<String> events() {
    return fixture
        .control
        .events()
        .list(Optional.of(project), PageRequest.first())
        .items()
        .reversed()
        .stream()
        .map(Event::kind)
        .filter(kind -> kind.startsWith("disk."))
        .toList();
  }

  private Disk exposed() throws InterruptedException {
    Disk disk = fixture.disk("data", "golden");
    fixture.succeeded(fixture.control.disks().expose(project, "data", WriteCache.WRITE_THROUGH));
    return disk;
  }

  @Test
  void isShownAsFailedWithWhatItOccupiesAndCounted() throws Exception {
    Disk disk = exposed();
    fixture.disk("other", "golden");
    fails(disk.id(), OptionalInt.of(40));
    Disk shown = fixture.control.disks().get(project, "data");
    assertEquals("failed", shown.stateWord());
    assertEquals(Optional.of(fault(OptionalInt.of(40))), shown.measure().fault());
    assertTrue(shown.measure().allocatedBytes().isPresent());
    assertEquals(
        List.of("data failed", "other ready"),
        fixture.control.disks().list(project, PageRequest.first()).items().stream()
            .map(each -> each.name() + " " + each.stateWord())
            .toList());
    assertEquals(new VolumesByKind(0, 1, 0), fixture.control.failed());
    assertEquals(1, fixture.control.failedVolumes());
    isWell();
    assertEquals("exposed", fixture.control.disks().get(project, "data").stateWord());
    assertTrue(fixture.control.failed().none());
  }

  @Test
  void imagesAndSnapshotsShowItInTheSameWay() throws Exception {
    UUID image = fixture.control.images().get(project, "golden").id();
    fixture.disk("data", "golden");
    UUID snapshot = fixture.snapshot("moment", "data").id();
    fixture.volumeFaults =
        Map.of(
            image, fault(OptionalInt.empty()),
            snapshot, fault(OptionalInt.empty()));
    assertEquals("failed", fixture.control.images().get(project, "golden").stateWord());
    assertEquals("failed", fixture.control.snapshots().get(project, "moment").stateWord());
    assertEquals(new VolumesByKind(1, 0, 1), fixture.control.failed());
  }

  @Test
  void eachStageIsReportedOnceToItsProjectOnly() throws Exception {
    Disk disk = exposed();
    fixture.control.tick();
    for (OptionalInt percent :
        List.of(
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalInt.of(0),
            OptionalInt.of(50),
            OptionalInt.empty(),
            OptionalInt.of(1))) {
      fails(disk.id(), percent);
    }
    isWell();
    isWell();
    assertEquals(List.of("disk.failed", "disk.recovering", "disk.recovered"), events());
    Event failed =
        fixture.control.events().list(Optional.of(project), PageRequest.first()).items().stream()
            .filter(event -> event.kind().equals("disk.failed"))
            .findFirst()
            .orElseThrow();
    assertEquals(Optional.of(disk.ref()), failed.subject());
    assertEquals(
        "The disk 'data' takes no writes since 2026-11-05T06:07:08Z, as its storage failed: fsync:"
            + " Input/output error. It is read as before. Look at the drive under the store, and at"
            + " the kernel's log.",
        failed.message());
    UUID other = fixture.control.projects().create("other").id();
    assertEquals(
        List.of(), fixture.control.events().list(Optional.of(other), PageRequest.first()).items());
    fails(disk.id(), OptionalInt.of(7));
    assertEquals(
        List.of(
            "disk.failed", "disk.recovering", "disk.recovered", "disk.failed", "disk.recovering"),
        events());
  }

  @Test
  void aFailureOutlivesARestartAndIsNotReportedTwice() throws Exception {
    Disk disk = exposed();
    fails(disk.id(), OptionalInt.empty());
    fixture.restart();
    fails(disk.id(), OptionalInt.empty());
    assertEquals(List.of("disk.failed"), events());
    fixture.volumeFaults = Map.of();
    fixture.restart();
    fixture.control.tick();
    assertEquals(List.of("disk.failed", "disk.recovered"), events());
    fixture.restart();
    fixture.control.tick();
    assertEquals(List.of("disk.failed", "disk.recovered"), events());
  }

  @Test
  void aDiskThatIsWithdrawnWhileItFailsHasNotRecovered() throws Exception {
    Disk disk = exposed();
    fails(disk.id(), OptionalInt.of(10));
    fixture.succeeded(fixture.control.disks().withdraw(project, "data"));
    isWell();
    assertEquals(List.of("disk.failed", "disk.recovering", "disk.closed"), events());
  }

  @Test
  void aDatabaseThatFailsForAMomentLosesNoReport() throws Exception {
    Disk disk = exposed();
    fixture.volumeFaults = Map.of(disk.id(), fault(OptionalInt.empty()));
    fixture.database.refuses = true;
    Refused.with(ErrorCode.DATABASE_BUSY, () -> fixture.control.tick());
    fixture.database.refuses = false;
    assertEquals(List.of(), events());
    fixture.control.tick();
    assertEquals(List.of("disk.failed"), events());
  }

  @Test
  void theExplanationOfANodeBeginsWithItsDrive() throws Exception {
    Node node = fixture.provisioned("n1", 1, "golden");
    assertEquals(Optional.empty(), fixture.control.nodes().explain(project, "n1").cause());
    fails(node.disk().orElseThrow().id(), OptionalInt.of(40));
    Explanation failed = fixture.control.nodes().explain(project, "n1");
    assertEquals(
        "Its drive 'n1' is read and takes no writes since 2026-11-05T06:07:08Z, as its storage"
            + " failed: fsync: Input/output error.",
        failed.cause().orElseThrow());
    assertTrue(failed.fix().orElseThrow().startsWith("It is recovering, 40% are done"));
  }

  @Test
  void aNodeWhoseWritesFindNoRoomIsExplainedByThat() throws Exception {
    Node node = fixture.provisioned("n1", 1, "golden");
    Instant since = Instant.parse("2026-11-05T06:07:08Z");
    Targets.Refusal refusal = new Targets.Refusal("the store is full, so they fail", since);
    fixture.targets.setUse(
        node.disk().orElseThrow().id(), new Targets.Use(1, 0, 0, 0, Optional.of(refusal)));
    Explanation full = fixture.control.nodes().explain(project, "n1");
    assertEquals(
        "Writes to its drive 'n1' that need more room are not done since 2026-11-05T06:07:08Z: the"
            + " store is full, so they fail.",
        full.cause().orElseThrow());
    assertTrue(full.fix().orElseThrow().contains("m2 status"));
  }

  @Test
  void aNodeWhoseDriveHasNoTargetIsExplainedByThat() throws Exception {
    Node node = fixture.provisioned("n1", 1, "golden");
    exposed();
    fixture.crash();
    fixture.targets.refused = node.disk().map(Ref::id);
    fixture.control.start();
    Explanation missing = fixture.control.nodes().explain(project, "n1");
    assertTrue(
        missing.cause().orElseThrow().startsWith("The server has no target for its drive 'n1'"),
        missing::toString);
  }
}
