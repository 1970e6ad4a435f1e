package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.control.db.SqliteDatabase;
import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeStore;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
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
    VolumeStore volumes = storeThatSays(available);
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
        watch.look();
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

  /** Only its capacity is asked for; anything else is a mistake of the test. */
  private static VolumeStore storeThatSays(AtomicLong available) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, method, _) -> {
              if (method.getName().equals("capacity")) {
                return new Capacity(1000, available.get(), 1000 - available.get());
              }
              throw new AssertionError(method.getName());
            });
  }
}
