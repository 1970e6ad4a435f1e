package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A server whose store fills up. It runs on a small file system in a mount namespace of its own, so
 * it needs root, or the right to make user namespaces.
 */
final class FullStoreTest {
  @TempDir private Path directory;

  @Test
  void aStoreThatFillsUpWarnsThenRefusesGrowthAndRecovers() throws Exception {
    boolean root = System.getProperty("user.name").equals("root");
    Path log = directory.resolve("scenario.log");
    Process process =
        new ProcessBuilder(
                List.of(
                    "unshare",
                    root ? "-m" : "-Urm",
                    "--kill-child",
                    "--fork",
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-Xmx256m",
                    "-cp",
                    System.getProperty("java.class.path"),
                    FullStoreScenario.class.getName(),
                    directory.toString()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    try {
      boolean ended = process.waitFor(5, TimeUnit.MINUTES);
      String said = Files.readString(log);
      assertTrue(ended, () -> "the scenario hangs:\n" + said);
      assertEquals(0, process.exitValue(), said);
    } finally {
      process.destroyForcibly().onExit().join();
    }
  }
}
