package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.control.FaultPoints.Moment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Deletion of an image with what lives on it. */
final class ImageCascadeTest {
  private Fixture fixture;
  private UUID project;

  @BeforeEach
  void open(@TempDir Path directory) throws IOException {
    fixture = new Fixture(directory);
    project = fixture.project();
  }

  @AfterEach
  void close() throws IOException {
    assertEquals(List.of(), fixture.control.inconsistencies());
    fixture.close();
  }

  /** golden: data (snapshot then: branch, image next: leaf), trashed. */
  private void family() throws Exception {
    fixture.image("golden");
    fixture.disk("data", "golden");
    fixture.snapshot("then", "data");
    fixture.succeeded(
        fixture
            .control
            .disks()
            .create(project, "branch", new DiskOrigin.OfSnapshot("then"), Optional.empty()));
    fixture.succeeded(
        fixture.control.snapshots().promote(project, "then", "next", Image.Visibility.PRIVATE));
    fixture.disk("leaf", "next");
    fixture.disk("trashed", "golden");
    fixture.control.disks().delete(project, "trashed", Disks.Deletion.TRASH);
  }

  private Operation cascade() {
    return fixture.control.images().deleteWithDependants(project, "golden");
  }

  private String everything() {
    Rows.Counts counts = fixture.control.counts();
    return counts.images() + " images, " + counts.disks() + " disks, " + counts.snapshots();
  }

  @Test
  void everythingThatLivesOnAnImageGoesWithIt() throws Exception {
    family();
    fixture.image("bystander");
    fixture.disk("apart", "bystander");
    fixture.succeeded(cascade());
    assertEquals("1 images, 1 disks, 0", everything());
    assertEquals(2, fixture.volumes.list().size());
  }

  @Test
  void aDiskAttachedToANodeKeepsAllOfItAndTheNodeIsNamed() throws Exception {
    family();
    fixture.provisioned("n1", 1, "next");
    String before = everything();
    ControlException e = Refused.with(ErrorCode.DISK_ATTACHED, this::cascade);
    assertTrue(e.message().contains("'n1' to the node 'n1'"), e.message());
    assertEquals(before, everything());
    assertEquals(Disk.State.READY, fixture.control.disks().get(project, "data").state());
    assertEquals(1, fixture.control.disks().listTrash(project, PageRequest.first()).items().size());
    assertEquals("attached", fixture.control.disks().get(project, "n1").stateWord());
  }

  @Test
  void anExposedOrBusyDiskKeepsAllOfItToo() throws Exception {
    family();
    fixture.succeeded(fixture.control.disks().expose(project, "leaf", WriteCache.WRITE_THROUGH));
    String before = everything();
    ControlException e = Refused.with(ErrorCode.DISK_EXPOSED, this::cascade);
    assertTrue(e.message().contains("'leaf'"), e.message());
    fixture.succeeded(fixture.control.disks().withdraw(project, "leaf"));
    fixture.faults =
        Fixture.endingAt(Fixture.name(OperationKind.DISK_FLATTEN, "flatten", Moment.BEFORE));
    Operation flatten = fixture.control.disks().flatten(project, "leaf");
    Refused.with(ErrorCode.DISK_BUSY, this::cascade);
    assertEquals(before, everything());
    fixture.restart();
    fixture.succeeded(flatten);
  }

  @Test
  void anImageThatIsBeingReadKeepsAllOfItToo() throws Exception {
    family();
    String before = everything();
    ImageReading first = fixture.control.images().read(project, "next");
    ImageReading second = fixture.control.images().read(project, "next");
    ControlException e = Refused.with(ErrorCode.IMAGE_BUSY, this::cascade);
    assertTrue(e.message().contains("'next' is being exported or checked"), e.message());
    Refused.with(ErrorCode.IMAGE_BUSY, () -> fixture.control.images().delete(project, "next"));
    first.close();
    first.close();
    Refused.with(ErrorCode.IMAGE_BUSY, this::cascade);
    assertEquals(before, everything());
    second.close();
    fixture.succeeded(cascade());
    assertEquals("0 images, 0 disks, 0", everything());
  }

  @Test
  void aDiskThatWasMadeIndependentStays() throws Exception {
    family();
    fixture.succeeded(fixture.control.disks().flatten(project, "branch"));
    fixture.succeeded(cascade());
    assertEquals("0 images, 1 disks, 0", everything());
    assertEquals(Disk.State.READY, fixture.control.disks().get(project, "branch").state());
  }

  @Test
  void aKilledServerGoesOnWhereItWas() throws Exception {
    family();
    fixture.faults =
        Fixture.endingAt(Fixture.name(OperationKind.IMAGE_DELETE_CASCADE, "delete", Moment.AFTER));
    Operation operation = cascade();
    fixture.restart();
    fixture.succeeded(operation);
    assertEquals("0 images, 0 disks, 0", everything());
  }

  @Test
  void aFailureOnTheWayKeepsTheRestUsable() throws Exception {
    family();
    Disk data = fixture.control.disks().get(project, "data");
    // Somebody reads the disk behind the control plane's back: its volume cannot go.
    try (var open = fixture.volumes.open(data.id())) {
      Operation failed = fixture.end(cascade());
      assertEquals(OperationState.FAILED, failed.state());
      assertEquals(ErrorCode.DISK_IN_USE, failed.error().orElseThrow().code());
      assertEquals(data.id(), open.id());
    }
    assertEquals(Image.State.READY, fixture.control.images().get(project, "golden").state());
    assertEquals(Disk.State.READY, fixture.control.disks().get(project, "data").state());
    assertEquals(List.of(), fixture.control.inconsistencies());
    fixture.succeeded(cascade());
    assertEquals("0 images, 0 disks, 0", everything());
  }
}
