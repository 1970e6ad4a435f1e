package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** While the store does not answer, the database does: somebody has to find out what is where. */
final class SilentStoreTest {
  private static VolumeException outage() {
    return new VolumeException(Reason.UNAVAILABLE, "volume 1: no OSD answers");
  }

  @Test
  void whatTheDatabaseKnowsIsShownWithTheReasonWhyTheRestIsNot(@TempDir Path directory)
      throws Exception {
    try (Fixture fixture = new Fixture(directory)) {
      fixture.image("golden");
      Node node = fixture.provisioned("n1", 1, "golden");
      String name = node.disk().orElseThrow().name();
      fixture.snapshot("moment", name);
      fixture.disk("idle", "golden");
      fixture.outage = outage();
      UUID project = fixture.project();
      Disk disk = fixture.control.disks().get(project, name);
      assertEquals("attached", disk.stateWord());
      assertEquals("n1", disk.node().orElseThrow().name());
      assertEquals(Optional.empty(), disk.measure().allocatedBytes());
      assertTrue(disk.measure().storeFault().orElseThrow().contains("no OSD answers"));
      Snapshot moment = fixture.control.snapshots().get(project, "moment");
      assertEquals("ready", moment.stateWord());
      assertTrue(moment.measure().storeFault().isPresent());
      assertEquals("ready", fixture.control.images().get(project, "golden").stateWord());
      List<Disk> disks = fixture.control.disks().list(project, PageRequest.first()).items();
      assertEquals(2, disks.size());
      disks.forEach(d -> assertTrue(d.measure().storeFault().isPresent(), d.name()));
      assertEquals(
          ErrorCode.STORE_UNAVAILABLE,
          assertThrows(ControlException.class, fixture.control::damaged).code());
      fixture.outage = null;
      assertTrue(fixture.control.disks().get(project, name).measure().allocatedBytes().isPresent());
      assertTrue(fixture.control.damaged().none(), "asked again, not remembered");
    }
  }

  @Test
  void aListWaitsOnceHoweverLongItIs(@TempDir Path directory) throws Exception {
    try (Fixture fixture = new Fixture(directory)) {
      AtomicInteger asked = new AtomicInteger();
      VolumeStore refusing =
          store(() -> {
            asked.incrementAndGet();
            throw outage();
          });
      VolumeCheck check =
          new VolumeCheck(fixture.database, new PatientStore(refusing, Duration.ofMinutes(1)));
      for (int i = 0; i < 100; i++) {
        assertTrue(check.disk(UUID.randomUUID()).storeFault().isPresent());
      }
      assertEquals(1, asked.get());
    }
  }

  @Test
  void aRequestEndsAlsoWhenEachAnswerComesInTime(@TempDir Path directory) throws Exception {
    try (Fixture fixture = new Fixture(directory)) {
      AtomicInteger asked = new AtomicInteger();
      VolumeStore answering =
          store(() -> {
            asked.incrementAndGet();
            return Optional.empty();
          });
      PatientStore store = new PatientStore(answering, Duration.ofMillis(1));
      VolumeCheck check = new VolumeCheck(fixture.database, store);
      long end = store.deadlineNanos();
      while (System.nanoTime() - end < 0) {
        Thread.onSpinWait();
      }
      assertTrue(check.disk(UUID.randomUUID()).storeFault().isPresent());
      assertEquals(0, asked.get());
    }
  }

  @Test
  void nobodyWaitsForAStoreThatOwesSeveralAnswersAndThenItIsAskedAgain() throws Exception {
    CountDownLatch silent = new CountDownLatch(1);
    CountDownLatch begun = new CountDownLatch(PatientStore.MAX_OVERDUE);
    AtomicInteger asked = new AtomicInteger();
    VolumeStore hanging =
        store(() -> {
          asked.incrementAndGet();
          begun.countDown();
          assertTrue(silent.await(60, TimeUnit.SECONDS));
          return Optional.empty();
        });
    PatientStore store = new PatientStore(hanging, Duration.ofMillis(10));
    for (int i = 0; i < 100; i++) {
      VolumeException error = assertThrows(VolumeException.class, () -> find(store));
      assertEquals(Reason.UNAVAILABLE, error.reason());
    }
    assertTrue(begun.await(60, TimeUnit.SECONDS));
    assertEquals(PatientStore.MAX_OVERDUE, asked.get(), "the others were not even asked");
    silent.countDown();
    until(() -> answers(store));
  }

  @Test
  void oneAnswerThatIsOverdueKeepsNobodyFromAsking() throws Exception {
    CountDownLatch silent = new CountDownLatch(1);
    VolumeStore answering = store(() -> Optional.empty());
    PatientStore store = new PatientStore(answering, Duration.ofMinutes(1));
    long soon = System.nanoTime() + Duration.ofMillis(10).toNanos();
    assertThrows(
        VolumeException.class,
        () -> store.ask(_ -> unchecked(() -> silent.await(60, TimeUnit.SECONDS)), soon));
    assertEquals(Optional.empty(), find(store));
    silent.countDown();
  }

  @Test
  void howFullItIsIsNotWaitedForEither(@TempDir Path directory) throws Exception {
    CountDownLatch silent = new CountDownLatch(1);
    VolumeStore hanging =
        store(() -> {
          assertTrue(silent.await(60, TimeUnit.SECONDS));
          return new Capacity(3, 2, 1);
        });
    try (Fixture fixture = new Fixture(directory);
        Control control =
            Control.open(
                fixture.ports(hanging),
                ControlSettings.defaults().withStorePatience(Duration.ofMillis(10)))) {
      VolumeException error = assertThrows(VolumeException.class, control::space);
      assertEquals(Reason.UNAVAILABLE, error.reason());
      silent.countDown();
    }
  }

  @Test
  void aLookThatTakesLongIsShownHoweverSeldomSomebodyAsks(@TempDir Path directory)
      throws Exception {
    CountDownLatch first = new CountDownLatch(1);
    CountDownLatch second = new CountDownLatch(1);
    AtomicInteger asked = new AtomicInteger();
    VolumeStore slow =
        store(() -> {
          CountDownLatch end = asked.incrementAndGet() <= 2 ? first : second;
          assertTrue(end.await(60, TimeUnit.SECONDS));
          return Set.of();
        });
    try (Fixture fixture = new Fixture(directory)) {
      fixture.image("golden");
      DamagedVolumes damaged =
          new DamagedVolumes(fixture.ports(slow), new PatientStore(slow, Duration.ofMillis(10)));
      ControlException error = assertThrows(ControlException.class, damaged::count);
      assertEquals(ErrorCode.STORE_UNAVAILABLE, error.code());
      fixture.clock.advance(Duration.ofMinutes(10));
      first.countDown();
      until(() -> {
        try {
          return damaged.count().equals(new VolumesByKind(1, 0, 0));
        } catch (ControlException e) {
          return false;
        }
      });
      assertEquals(2, asked.get(), "one look, which asks again about what seems lost");
      fixture.clock.advance(Duration.ofMinutes(10));
      for (int i = 0; i < 3; i++) {
        assertEquals(
            new VolumesByKind(1, 0, 0), damaged.count(), "while it is looked through again");
      }
      second.countDown();
    }
  }

  @Test
  void onePlainFailureOfAVolumeIsNotTheStores(@TempDir Path directory) throws Exception {
    try (Fixture fixture = new Fixture(directory)) {
      fixture.image("golden");
      fixture.disk("data", "golden");
      VolumeStore failing =
          store(() -> {
            throw new IOException("a sector of it cannot be read");
          });
      SharedBytes shared =
          new SharedBytes(fixture.ports(failing), new PatientStore(failing, Duration.ofMinutes(1)));
      assertEquals(0, shared.sum());
    }
  }

  private static void until(Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + Duration.ofMinutes(1).toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < deadline, "it did not happen");
      Thread.onSpinWait();
    }
  }

  private static <T> T unchecked(Callable<T> call) {
    try {
      return call.call();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static boolean answers(PatientStore store) throws Exception {
    try {
      return find(store).isEmpty();
    } catch (VolumeException e) {
      return false;
    }
  }

  private static Optional<?> find(PatientStore store) throws Exception {
    return store.ask(volumes -> volumes.find(UUID.randomUUID()));
  }

  private interface Answer {
    Object give() throws Exception;
  }

  private static VolumeStore store(Answer answer) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, _, _) -> answer.give());
  }
}
