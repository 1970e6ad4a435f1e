package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.cli.DoctorCommand;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code m2 doctor --verify} on the store of a real server. */
final class StoreCheckTest {
  @TempDir Path directory;

  private Outcome verify() {
    return Outcome.of(
        Map.of(),
        Map.of("doctor", () -> new DoctorCommand(new LocalStoreCheck())),
        "doctor",
        "--verify",
        "--data",
        directory.resolve("data").toString());
  }

  @Test
  void aDamagedByteIsNamedAndARunningServerIsNotDisturbed() throws Exception {
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      Path file = TestServer.image(directory.resolve("base.raw"), 4);
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      Outcome refused = verify();
      assertEquals(1, refused.status());
      assertTrue(refused.err().contains("in use by process"), refused.err());
    }
    Path leftover = directory.resolve("data/volumes/layers/" + UUID.randomUUID() + ".data");
    Files.createFile(leftover);
    Outcome sound = verify();
    assertEquals(0, sound.status(), sound.err());
    assertTrue(Files.exists(leftover), "a check changes nothing");
    assertTrue(sound.out().contains("4 MiB compared with checksums"), sound.out());

    Path largest;
    try (Stream<Path> files = Files.walk(directory.resolve("data/volumes"))) {
      largest =
          files
              .filter(Files::isRegularFile)
              .max(Comparator.comparingLong(f -> f.toFile().length()))
              .orElseThrow();
    }
    try (RandomAccessFile data = new RandomAccessFile(largest.toFile(), "rw")) {
      data.seek(1 << 20);
      int before = data.read();
      data.seek(1 << 20);
      data.write(before ^ 1);
    }
    Outcome damaged = verify();
    assertEquals(1, damaged.status(), damaged.out());
    assertTrue(damaged.out().contains("failed"), damaged.out());
    assertTrue(damaged.out().contains(largest.getFileName().toString()), damaged.out());
  }

  @Test
  void aDirectoryWithoutAStoreIsLeftAlone() throws Exception {
    Path data = Files.createDirectory(directory.resolve("data"));
    Outcome outcome = verify();
    assertEquals(1, outcome.status());
    assertTrue(
        outcome.err().contains("there is no store in " + data.resolve("volumes")), outcome.err());
    assertFalse(Files.exists(data.resolve("lock")));
  }
}
