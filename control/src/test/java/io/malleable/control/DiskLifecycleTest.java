package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DiskLifecycleTest {
  private Fixture fixture;
  private UUID project;

  @BeforeEach
  void open(@TempDir Path directory) throws IOException {
    fixture = new Fixture(directory);
    project = fixture.project();
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  private Operation importing(String name) {
    return fixture
        .control
        .images()
        .importImage(
            project,
            name,
            new ImageSource.LocalFile(Path.of("/images/" + name)),
            ImageExpectation.NONE,
            Image.Visibility.PRIVATE);
  }

  @Test
  void anImportedImageIsReadyAndSealed() throws Exception {
    Image image = fixture.image("golden");
    assertEquals(Image.State.READY, image.state());
    assertEquals(1 << 20, image.sizeBytes());
    assertEquals(Optional.of("raw"), image.format());
    assertEquals("default", image.project());
    assertTrue(fixture.volumes.find(image.id()).orElseThrow().sealed());
  }

  @Test
  void aBrokenImageLeavesNothingBehind() throws Exception {
    Operation failed = fixture.end(importing("broken"));
    assertEquals(OperationState.FAILED, failed.state());
    assertEquals(ErrorCode.IMAGE_INVALID, failed.error().orElseThrow().code());
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.control.images().get(project, "broken"));
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void aMissingFileIsRefusedBeforeAnythingIsStored() {
    Refused.with(ErrorCode.IMAGE_SOURCE_MISSING, () -> importing("missing"));
    assertEquals(
        List.of(),
        fixture
            .control
            .operations()
            .list(project, OperationFilter.all(), PageRequest.first())
            .items());
  }

  @Test
  void anImportCanBeAborted() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    fixture.imports.hangsAfter = begun;
    Operation operation = importing("large");
    begun.await();
    assertTrue(
        fixture.control.operations().get(project, operation.id().toString()).progress() >= 0.5);
    fixture.control.operations().abort(project, operation.id().toString());
    Operation ended = fixture.end(operation);
    assertEquals(OperationState.ABORTED, ended.state());
    assertEquals(List.of(), fixture.control.inconsistencies());
    Refused.with(
        ErrorCode.OPERATION_FINISHED,
        () -> fixture.control.operations().abort(project, operation.id().toString()));
  }

  @Test
  void anImportGoesOnAfterAStop() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    fixture.imports.hangsAfter = begun;
    Operation operation = importing("large");
    begun.await();
    fixture.restart();
    fixture.succeeded(operation);
    assertEquals(Image.State.READY, fixture.control.images().get(project, "large").state());
  }

  @Test
  void namesAreTakenOnce() throws Exception {
    fixture.image("golden");
    fixture.disk("data", "golden");
    Refused.with(ErrorCode.NAME_TAKEN, () -> importing("golden"));
    ControlException e = Refused.with(ErrorCode.NAME_TAKEN, () -> fixture.disk("data", "golden"));
    assertEquals(Optional.of("data"), e.value());
    Refused.with(ErrorCode.NAME_INVALID, () -> fixture.disk("No Name", "golden"));
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.disk("more", "silver"));
  }

  @Test
  void aDiskCanBeLargerThanItsImageButNotSmaller() throws Exception {
    fixture.image("golden");
    for (long bad : new long[] {512, (1 << 20) + 1, -512, 0}) {
      ControlException e =
          Refused.with(
              ErrorCode.SIZE_INVALID,
              () ->
                  fixture
                      .control
                      .disks()
                      .create(project, "data", new DiskOrigin.OfImage("golden"), Optional.of(bad)));
      assertEquals(Optional.of("sizeBytes"), e.field());
    }
    Operation operation =
        fixture
            .control
            .disks()
            .create(project, "data", new DiskOrigin.OfImage("golden"), Optional.of(1L << 30));
    assertEquals(OperationState.SUCCEEDED, operation.state(), "quick ones are done at once");
    assertEquals(1L << 30, fixture.control.disks().get(project, "data").sizeBytes());
    fixture.succeeded(fixture.control.disks().resize(project, "data", 2L << 30, Optional.empty()));
    assertEquals(2L << 30, fixture.control.disks().get(project, "data").sizeBytes());
    Refused.with(
        ErrorCode.SIZE_INVALID,
        () -> fixture.control.disks().resize(project, "data", 1L << 30, Optional.empty()));
  }

  @Test
  void anImageWithClonesStaysAndNamesThem() throws Exception {
    fixture.image("golden");
    fixture.disk("data", "golden");
    ControlException e =
        Refused.with(
            ErrorCode.IMAGE_HAS_CLONES, () -> fixture.control.images().delete(project, "golden"));
    assertTrue(e.message().contains("disk 'data'"), e.message());
    fixture.succeeded(fixture.control.disks().flatten(project, "data"));
    fixture.succeeded(fixture.control.images().delete(project, "golden"));
    assertEquals(Optional.empty(), fixture.control.disks().get(project, "data").parent());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void aDeletedDiskComesBackFromTheTrash() throws Exception {
    fixture.image("golden");
    Disk disk = fixture.disk("data", "golden");
    assertEquals(
        OperationState.SUCCEEDED,
        fixture.control.disks().delete(project, "data", Disks.Deletion.TRASH).state());
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.control.disks().get(project, "data"));
    assertEquals(1, fixture.control.disks().listTrash(project, PageRequest.first()).items().size());
    fixture.disk("data", "golden");
    Refused.with(
        ErrorCode.NAME_TAKEN,
        () -> fixture.control.disks().undelete(project, disk.id().toString(), Optional.empty()));
    Disk back = fixture.control.disks().undelete(project, "data", Optional.of("data-again"));
    assertEquals(disk.id(), back.id());
    assertEquals("ready", back.stateWord());
  }

  @Test
  void theTrashIsEmptiedAfterAWhile() throws Exception {
    fixture.image("golden");
    Disk disk = fixture.disk("data", "golden");
    fixture.control.disks().delete(project, "data", Disks.Deletion.TRASH);
    fixture.clock.advance(Duration.ofDays(6));
    fixture.control.tick();
    assertTrue(fixture.volumes.find(disk.id()).isPresent());
    fixture.clock.advance(Duration.ofDays(2));
    fixture.control.tick();
    assertFalse(fixture.volumes.find(disk.id()).isPresent());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void anExposedDiskHasASecretOfItsOwnAndStaysOverARestart() throws Exception {
    fixture.image("golden");
    Disk disk = fixture.disk("data", "golden");
    fixture.succeeded(fixture.control.disks().expose(project, "data", WriteCache.WRITE_THROUGH));
    Exposure exposure = fixture.control.disks().exposure(project, "data").orElseThrow();
    assertEquals("iqn.2026-11.io.malleable:" + disk.id(), exposure.target());
    assertEquals("exposed", fixture.control.disks().get(project, "data").stateWord());
    Refused.with(
        ErrorCode.DISK_EXPOSED,
        () -> fixture.control.disks().delete(project, "data", Disks.Deletion.TRASH));
    Refused.with(
        ErrorCode.DISK_EXPOSED,
        () -> fixture.control.disks().expose(project, "data", WriteCache.WRITE_THROUGH));
    fixture.restart();
    assertEquals(exposure.chap(), fixture.targets.definition(disk.id()).chap());
    fixture.succeeded(fixture.control.disks().withdraw(project, "data"));
    assertEquals(Optional.empty(), fixture.control.disks().exposure(project, "data"));
    Refused.with(
        ErrorCode.DISK_NOT_EXPOSED, () -> fixture.control.disks().withdraw(project, "data"));
    fixture.succeeded(fixture.control.disks().expose(project, "data", WriteCache.WRITE_THROUGH));
    assertFalse(
        exposure
            .chap()
            .equals(fixture.control.disks().exposure(project, "data").orElseThrow().chap()));
  }

  @Test
  void aRollbackBringsTheContentBackAndNeverUnderASession() throws Exception {
    fixture.image("golden");
    Disk disk = fixture.disk("data", "golden");
    fixture.write(disk.id(), (byte) 1);
    fixture.snapshot("one", "data");
    fixture.write(disk.id(), (byte) 2);
    fixture.succeeded(fixture.control.disks().expose(project, "data", WriteCache.WRITE_THROUGH));
    fixture.targets.setUse(disk.id(), new Targets.Use(1, 0, 0, 0));
    Refused.with(
        ErrorCode.DISK_IN_USE, () -> fixture.control.disks().rollback(project, "data", "one"));
    fixture.targets.setUse(disk.id(), Targets.Use.NONE);
    fixture.succeeded(fixture.control.disks().rollback(project, "data", "one"));
    fixture.succeeded(fixture.control.disks().withdraw(project, "data"));
    assertEquals(1, fixture.read(disk.id()));
    fixture.disk("other", "golden");
    Refused.with(
        ErrorCode.SNAPSHOT_OF_OTHER_DISK,
        () -> fixture.control.disks().rollback(project, "other", "one"));
  }

  @Test
  void aSnapshotBecomesAnImageAndOutlivesItsDisk() throws Exception {
    fixture.image("golden");
    Disk disk = fixture.disk("data", "golden");
    fixture.write(disk.id(), (byte) 7);
    fixture.snapshot("seven", "data");
    fixture.succeeded(
        fixture.control.snapshots().promote(project, "seven", "next", Image.Visibility.PUBLIC));
    Image next = fixture.control.images().get(project, "next");
    assertEquals("seven", next.parent().orElseThrow().name());
    ControlException e =
        Refused.with(
            ErrorCode.SNAPSHOT_HAS_CLONES,
            () -> fixture.control.snapshots().delete(project, "seven"));
    assertTrue(e.message().contains("image 'next'"), e.message());
    fixture.succeeded(fixture.control.disks().delete(project, "data", Disks.Deletion.PURGE));
    assertEquals("data", fixture.control.snapshots().get(project, "seven").disk().name());
    Disk clone = fixture.disk("clone", "next");
    assertEquals(7, fixture.read(clone.id()));
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void otherProjectsSeePublicImagesOnlyAndCannotChangeThem() throws Exception {
    fixture.image("golden");
    Project other = fixture.control.projects().create("other");
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.control.images().get(other.id(), "golden"));
    fixture
        .control
        .images()
        .change(
            project,
            "golden",
            Optional.empty(),
            Optional.of(Image.Visibility.PUBLIC),
            Optional.empty());
    assertEquals("default", fixture.control.images().get(other.id(), "golden").project());
    Refused.with(
        ErrorCode.IMAGE_NOT_OWNED, () -> fixture.control.images().delete(other.id(), "golden"));
    fixture.succeeded(
        fixture
            .control
            .disks()
            .create(other.id(), "mine", new DiskOrigin.OfImage("golden"), Optional.empty()));
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.control.disks().get(project, "mine"));
    Refused.with(ErrorCode.PROJECT_NOT_EMPTY, () -> fixture.control.projects().delete("other"));
    fixture.succeeded(fixture.control.disks().delete(other.id(), "mine", Disks.Deletion.PURGE));
    fixture.control.projects().delete("other");
    Refused.with(ErrorCode.NOT_FOUND, () -> fixture.control.projects().get("other"));
    Refused.with(ErrorCode.PROJECT_BUILT_IN, () -> fixture.control.projects().delete("default"));
  }

  @Test
  void aChangeOfAStaleCopyIsRefused() throws Exception {
    Image image = fixture.image("golden");
    fixture
        .control
        .images()
        .change(
            project,
            "golden",
            Optional.of("silver"),
            Optional.empty(),
            Optional.of(image.revision()));
    Refused.with(
        ErrorCode.REVISION_CHANGED,
        () ->
            fixture
                .control
                .images()
                .change(
                    project,
                    "silver",
                    Optional.of("bronze"),
                    Optional.empty(),
                    Optional.of(image.revision())));
  }

  @Test
  void listsComeInPages() throws Exception {
    fixture.image("golden");
    List<String> names = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      fixture.disk("disk-" + i, "golden");
    }
    Optional<String> cursor = Optional.empty();
    int pages = 0;
    do {
      Page<Disk> page = fixture.control.disks().list(project, new PageRequest(cursor, 3));
      page.items().forEach(disk -> names.add(disk.name()));
      cursor = page.next();
      pages++;
    } while (cursor.isPresent());
    assertEquals(3, pages);
    assertEquals(
        List.of("disk-0", "disk-1", "disk-2", "disk-3", "disk-4", "disk-5", "disk-6"), names);
  }

  @Test
  void aRepeatedRequestWithItsKeyDoesNothingTwice() throws Exception {
    fixture.image("golden");
    DiskOrigin origin = new DiskOrigin.OfImage("golden");
    Operations operations = fixture.control.operations();
    Operation first =
        operations.once(
            project,
            "key-1",
            "f1",
            () -> fixture.control.disks().create(project, "data", origin, Optional.empty()));
    Operation second =
        operations.once(
            project,
            "key-1",
            "f1",
            () -> fixture.control.disks().create(project, "data", origin, Optional.empty()));
    assertEquals(first.id(), second.id());
    Refused.with(
        ErrorCode.IDEMPOTENCY_KEY_REUSED,
        () ->
            operations.once(
                project,
                "key-1",
                "f2",
                () -> fixture.control.disks().create(project, "more", origin, Optional.empty())));
  }

  @Test
  void oneDamagedDiskDoesNotKeepTheOthersFromTheirTargets() throws Exception {
    fixture.image("golden");
    Disk good = fixture.disk("good", "golden");
    Disk lost = fixture.disk("lost", "golden");
    fixture.succeeded(fixture.control.disks().expose(project, "good", WriteCache.WRITE_THROUGH));
    fixture.succeeded(fixture.control.disks().expose(project, "lost", WriteCache.WRITE_THROUGH));
    fixture.crash();
    fixture.volumes.delete(lost.id());
    fixture.control.start();
    assertEquals(Set.of(good.id()), fixture.targets.defined());
    Event event =
        fixture.control.events().list(Optional.empty(), PageRequest.first()).items().getFirst();
    assertEquals("disk.damaged", event.kind());
    assertEquals(Optional.of(lost.ref()), event.subject());
    assertTrue(event.message().startsWith("The disk 'lost' has no target: "), event.message());
    UUID other = fixture.control.projects().create("other").id();
    Page<Event> others = fixture.control.events().list(Optional.of(other), PageRequest.first());
    assertEquals(List.of(), others.items(), "whose disk it is, is not theirs to see");
    assertEquals(2, fixture.control.inconsistencies().size());
    fixture.crash();
    fixture.targets.failsToDefine = true;
    Refused.with(ErrorCode.IO_FAILED, () -> fixture.control.start());
  }

  @Test
  void aDiskThatCannotBeATargetDoesNotKeepTheServerFromStarting() throws Exception {
    fixture.image("golden");
    Disk good = fixture.disk("good", "golden");
    Disk odd = fixture.disk("odd", "golden");
    fixture.succeeded(fixture.control.disks().expose(project, "good", WriteCache.WRITE_THROUGH));
    fixture.succeeded(fixture.control.disks().expose(project, "odd", WriteCache.WRITE_THROUGH));
    fixture.crash();
    fixture.targets.refused = Optional.of(odd.id());
    fixture.control.start();
    assertEquals(Set.of(good.id()), fixture.targets.defined());
  }

  @Test
  void reservationsEndWithTheBindingAndWithARollback() throws Exception {
    fixture.image("golden");
    UUID disk = fixture.disk("data", "golden").id();
    fixture.snapshot("one", "data");
    Disks disks = fixture.control.disks();
    assertEquals(Optional.empty(), disks.reservations(project, "data"));
    fixture.succeeded(disks.expose(project, "data", WriteCache.WRITE_THROUGH));
    fixture.targets.reserve(disk);
    assertEquals(
        Optional.of("exclusive-access"), disks.reservations(project, "data").orElseThrow().type());
    fixture.succeeded(disks.rollback(project, "data", "one"));
    assertFalse(fixture.targets.isReserved(disk));
    fixture.targets.reserve(disk);
    fixture.succeeded(disks.withdraw(project, "data"));
    assertFalse(fixture.targets.isReserved(disk));
    // As a program left it that knew no better.
    fixture.targets.reserve(disk);
    fixture.succeeded(disks.expose(project, "data", WriteCache.WRITE_THROUGH));
    assertFalse(fixture.targets.isReserved(disk));
    fixture.succeeded(disks.withdraw(project, "data"));
    fixture.targets.reserve(disk);
    fixture.succeeded(fixture.control.snapshots().delete(project, "one"));
    fixture.succeeded(disks.delete(project, "data", Disks.Deletion.PURGE));
    assertFalse(fixture.targets.isReserved(disk));
  }

  @Test
  void aWithdrawalThatIsTakenBackTakesNoReservationAway() throws Exception {
    fixture.image("golden");
    UUID disk = fixture.disk("data", "golden").id();
    Disks disks = fixture.control.disks();
    fixture.succeeded(disks.expose(project, "data", WriteCache.WRITE_THROUGH));
    fixture.targets.reserve(disk);
    fixture.targets.failsToClearReservations = true;
    assertEquals(OperationState.FAILED, fixture.end(disks.withdraw(project, "data")).state());
    assertTrue(fixture.targets.isReserved(disk));
    assertTrue(fixture.targets.defined().contains(disk));
    assertTrue(disks.exposure(project, "data").isPresent());
  }

  @Test
  void reservationsCanBeClearedAndTheProjectReadsThatTheyWere() throws Exception {
    fixture.image("golden");
    UUID disk = fixture.disk("data", "golden").id();
    Disks disks = fixture.control.disks();
    fixture.succeeded(disks.expose(project, "data", WriteCache.WRITE_THROUGH));
    fixture.targets.reserve(disk);
    disks.clearReservations(project, "data");
    assertFalse(fixture.targets.isReserved(disk));
    assertEquals(
        "disk.reservations-cleared",
        fixture
            .control
            .events()
            .list(Optional.of(project), PageRequest.first())
            .items()
            .getFirst()
            .kind());
    Refused.with(ErrorCode.NOT_FOUND, () -> disks.clearReservations(project, "other"));
  }
}
