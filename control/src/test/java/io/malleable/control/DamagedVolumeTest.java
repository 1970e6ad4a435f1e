package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One volume that cannot be used is one volume's trouble. */
final class DamagedVolumeTest {
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

  private Path record(UUID volume) {
    return fixture.directory.resolve("volumes/volumes/" + volume);
  }

  private List<String> listed() {
    List<String> shown = new ArrayList<>();
    List<Resource> all = new ArrayList<>();
    UUID project = fixture.project();
    all.addAll(fixture.control.images().list(project, PageRequest.first()).items());
    all.addAll(fixture.control.disks().list(project, PageRequest.first()).items());
    all.addAll(fixture.control.snapshots().list(project, PageRequest.first()).items());
    all.forEach(item -> shown.add(item.name() + " " + item.stateWord()));
    return shown;
  }

  @Test
  void isShownAsDamagedAmongTheOthersInEveryList() throws Exception {
    Disk bad = fixture.disk("bad", "golden");
    fixture.disk("good", "golden");
    Snapshot moment = fixture.snapshot("moment", "good");
    assertEquals(List.of("golden ready", "bad ready", "good ready", "moment ready"), listed());
    Files.write(record(bad.id()), new byte[100]);
    fixture.restart();
    assertEquals(List.of("golden ready", "bad damaged", "good ready", "moment ready"), listed());
    Disk shown = fixture.control.disks().get(fixture.project(), "bad");
    assertTrue(shown.measure().damage().isPresent());
    assertEquals(Optional.empty(), shown.measure().allocatedBytes());
    assertTrue(fixture.control.sharedBytes() > 0, "the image is shared as before");
    UUID image = fixture.control.images().get(fixture.project(), "golden").id();
    for (UUID volume : List.of(image, moment.id())) {
      Files.write(record(volume), new byte[100]);
    }
    fixture.restart();
    assertEquals(
        List.of("golden damaged", "bad damaged", "good ready", "moment damaged"), listed());
    assertEquals(0, fixture.control.sharedBytes());
  }

  @Test
  void isCountedOverAllProjectsUntilItIsDeleted() throws Exception {
    Disk bad = fixture.disk("bad", "golden");
    Disk lost = fixture.disk("lost", "golden");
    Disk trashed = fixture.disk("trashed", "golden");
    fixture.disk("good", "golden");
    Snapshot moment = fixture.snapshot("moment", "good");
    assertTrue(fixture.control.damaged().none());
    fixture.succeeded(
        fixture.control.disks().delete(fixture.project(), "trashed", Disks.Deletion.TRASH));
    fixture.volumes.close();
    Files.delete(record(lost.id()));
    for (UUID volume : List.of(bad.id(), trashed.id(), moment.id())) {
      Files.write(record(volume), new byte[100]);
    }
    fixture.restart();
    assertEquals(new VolumesByKind(0, 3, 1), fixture.control.damaged());
    fixture.succeeded(
        fixture.control.disks().delete(fixture.project(), "bad", Disks.Deletion.PURGE));
    fixture.succeeded(fixture.control.snapshots().delete(fixture.project(), "moment"));
    assertEquals(new VolumesByKind(0, 2, 0), fixture.control.damaged());
    for (String name : List.of("lost", "trashed")) {
      fixture.succeeded(
          fixture.control.disks().delete(fixture.project(), name, Disks.Deletion.PURGE));
    }
    assertTrue(fixture.control.damaged().none());
  }

  @Test
  void isNotTakenFromWhatWasBeingMadeWhenTheStoreWasLookedThrough() throws Exception {
    CountDownLatch reached = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    String clone = Fixture.name(OperationKind.DISK_CREATE, "clone", FaultPoints.Moment.BEFORE);
    fixture.faults =
        (kind, step, moment) -> {
          if (clone.equals(FaultPoints.name(kind, step, moment))) {
            reached.countDown();
            try {
              assertTrue(goOn.await(60, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          }
        };
    UUID project = fixture.project();
    Disks disks = fixture.control.disks();
    Future<Operation> made =
        CompletableFuture.supplyAsync(
            () -> disks.create(project, "new", new DiskOrigin.OfImage("golden"), Optional.empty()));
    assertTrue(reached.await(60, TimeUnit.SECONDS));
    assertTrue(fixture.control.damaged().none());
    goOn.countDown();
    fixture.succeeded(made.get());
    assertTrue(fixture.control.damaged().none(), "of the same look");
  }

  @Test
  void isLookedForInTheWholeStoreOnceAMinute() throws Exception {
    fixture.disk("data", "golden");
    AtomicInteger asked = new AtomicInteger();
    VolumeStore losing =
        (VolumeStore)
            Proxy.newProxyInstance(
                VolumeStore.class.getClassLoader(),
                new Class<?>[] {VolumeStore.class},
                (_, method, _) -> {
                  assertEquals("usable", method.getName());
                  asked.incrementAndGet();
                  return Set.of();
                });
    DamagedVolumes damaged =
        new DamagedVolumes(
            new Ports(
                fixture.database,
                losing,
                fixture.targets,
                fixture.power,
                fixture.imports,
                fixture.clock),
            new PatientStore(losing, Duration.ofMinutes(1)));
    for (int i = 0; i < 10; i++) {
      assertEquals(new VolumesByKind(1, 1, 0), damaged.count());
    }
    assertEquals(2, asked.get(), "once, and once more about what seemed to be lost");
    fixture.clock.advance(Duration.ofMinutes(1));
    damaged.count();
    assertEquals(4, asked.get());
  }

  @Test
  void thatIsLostIsShownAndCanBeDeleted() throws Exception {
    Disk lost = fixture.disk("lost", "golden");
    fixture.volumes.close();
    Files.delete(record(lost.id()));
    fixture.restart();
    assertEquals(List.of("golden ready", "lost damaged"), listed());
    fixture.succeeded(
        fixture.control.disks().delete(fixture.project(), "lost", Disks.Deletion.PURGE));
    assertEquals(List.of("golden ready"), listed());
  }

  @Test
  void isDeletedFromTheTrashOrAtOnceLikeAnyOther() throws Exception {
    Disk bad = fixture.disk("bad", "golden");
    Snapshot moment = fixture.snapshot("moment", "bad");
    for (UUID volume : List.of(bad.id(), moment.id())) {
      Files.write(record(volume), new byte[100]);
    }
    fixture.restart();
    assertEquals(List.of("golden ready", "bad damaged", "moment damaged"), listed());
    fixture.succeeded(fixture.control.snapshots().delete(fixture.project(), "moment"));
    fixture.succeeded(
        fixture.control.disks().delete(fixture.project(), "bad", Disks.Deletion.TRASH));
    fixture.clock.advance(ControlSettings.defaults().trashRetention().plusMinutes(1));
    fixture.control.tick();
    assertEquals(List.of("golden ready"), listed());
    assertEquals(
        List.of(),
        fixture.control.disks().listTrash(fixture.project(), PageRequest.first()).items());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void thatIsBeingMadeIsNotTakenForLost() throws Exception {
    fixture.faults =
        Fixture.endingAt(
            Fixture.name(OperationKind.DISK_CREATE, "clone", FaultPoints.Moment.BEFORE));
    try {
      fixture
          .control
          .disks()
          .create(fixture.project(), "early", new DiskOrigin.OfImage("golden"), Optional.empty());
    } catch (Engine.Abandoned e) {
      // That is how far it should get.
    }
    Disk early = fixture.control.disks().get(fixture.project(), "early");
    assertEquals("creating", early.stateWord());
    assertEquals(Optional.of(0L), early.measure().allocatedBytes());
  }

  @Test
  void thatCannotBePurgedIsTriedLessAndLessOftenAndKeepsNoOtherInTheTrash() throws Exception {
    fixture.disk("stuck", "golden");
    fixture.disk("other", "golden");
    UUID project = fixture.project();
    Disk stuck = fixture.control.disks().get(project, "stuck");
    for (String name : List.of("stuck", "other")) {
      fixture.succeeded(fixture.control.disks().delete(project, name, Disks.Deletion.TRASH));
    }
    fixture.clock.advance(ControlSettings.defaults().trashRetention().plusMinutes(1));
    try (Volume _ = fixture.volumes.open(stuck.id())) {
      for (int minute = 0; minute < 120; minute++) {
        fixture.control.tick();
        fixture.clock.advance(Duration.ofMinutes(1));
      }
      assertEquals(
          List.of("stuck"),
          fixture.control.disks().listTrash(project, PageRequest.first()).items().stream()
              .map(Disk::name)
              .toList());
      OperationFilter attempts =
          new OperationFilter(
              Optional.of(OperationKind.DISK_DELETE),
              Optional.of(OperationState.FAILED),
              Optional.of(stuck.id()));
      int tried =
          fixture.control.operations().list(project, attempts, PageRequest.first()).items().size();
      assertTrue(tried >= 5 && tried <= 8, tried + " attempts in two hours");
    }
    fixture.clock.advance(Duration.ofDays(1));
    fixture.control.tick();
    assertEquals(
        List.of(), fixture.control.disks().listTrash(project, PageRequest.first()).items());
  }
}
