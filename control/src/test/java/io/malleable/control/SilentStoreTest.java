package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeStore;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
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
  void nobodyWaitsForAnAnswerThatIsOverdueAndThenTheStoreIsAskedAgain() throws Exception {
    CountDownLatch silent = new CountDownLatch(1);
    AtomicInteger asked = new AtomicInteger();
    VolumeStore hanging =
        store(() -> {
          asked.incrementAndGet();
          assertTrue(silent.await(60, TimeUnit.SECONDS));
          return Optional.empty();
        });
    PatientStore store = new PatientStore(hanging, Duration.ofMillis(10));
    for (int i = 0; i < 100; i++) {
      VolumeException error = assertThrows(VolumeException.class, () -> find(store));
      assertEquals(Reason.UNAVAILABLE, error.reason());
    }
    assertEquals(1, asked.get(), "the others were not even asked");
    silent.countDown();
    while (!answers(store)) {
      Thread.onSpinWait();
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
