package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.control.db.SqliteDatabase;
import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeStore;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SpaceWatchTest {
  @Test
  void eachLevelIsReportedOnceAndSoIsTheRecovery(@TempDir Path directory) {
    AtomicLong available = new AtomicLong(1000);
    VolumeStore volumes = storeThatSays(1000, available);
    try (SqliteDatabase database = SqliteDatabase.open(directory.resolve("control.db"))) {
      Ports ports =
          new Ports(
              database,
              volumes,
              new FakeTargets(volumes),
              new FakePower(),
              new FakeImports(volumes),
              new TestClock());
      Events events = new Events(ports, new Signal());
      SpaceWatch watch = new SpaceWatch(ports, events);
      for (long bytes : new long[] {1000, 201, 199, 150, 99, 20, 10, 120, 99, 500, 500}) {
        available.set(bytes);
        var _ = watch.look();
      }
      List<String> kinds = new ArrayList<>();
      events
          .list(Optional.empty(), PageRequest.first())
          .items()
          .reversed()
          .forEach(event -> kinds.add(event.kind()));
      assertEquals(
          List.of(
              "store.filling",
              "store.filling",
              "store.filling",
              "store.filling",
              "store.recovered"),
          kinds);
    }
  }

  @Test
  void itLooksAgainBeforeTheFastestMachineCouldFillTheStore(@TempDir Path directory) {
    AtomicLong available = new AtomicLong();
    long total = 1000L << 30;
    VolumeStore volumes = storeThatSays(total, available);
    try (SqliteDatabase database = SqliteDatabase.open(directory.resolve("control.db"))) {
      Ports ports =
          new Ports(
              database,
              volumes,
              new FakeTargets(volumes),
              new FakePower(),
              new FakeImports(volumes),
              new TestClock());
      SpaceWatch watch = new SpaceWatch(ports, new Events(ports, new Signal()));
      available.set(total);
      assertEquals(Duration.ofSeconds(60), watch.look());
      available.set(240L << 30);
      assertEquals(Duration.ofSeconds(20), watch.look(), "40 GiB to the level at 2 GiB/s");
      available.set(201L << 30);
      assertEquals(Duration.ofSeconds(1), watch.look());
      available.set(199L << 30);
      assertEquals(Duration.ofSeconds(10), watch.look(), "somebody waits for the recovery");
      available.set(4L << 30);
      assertEquals(Duration.ofSeconds(2), watch.look(), "2 s from full");
    }
  }

  /** Only its capacity is asked for; anything else is a mistake of the test. */
  private static VolumeStore storeThatSays(long total, AtomicLong available) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, method, _) -> {
              if (method.getName().equals("capacity")) {
                return new Capacity(total, available.get(), total - available.get());
              }
              throw new AssertionError(method.getName());
            });
  }
}
