package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A scenario in a process of its own, which may be started in another way than this one. */
final class ChildJava {
  private ChildJava() {}

  /**
   * Runs the scenario's {@code main} to its end, which must be a good one.
   *
   * @param starter what the command line of Java is given to; may be empty
   * @param log takes what it says
   */
  static void run(List<String> starter, Class<?> scenario, String argument, Path log)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(starter);
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-Xmx128m",
            "-cp",
            System.getProperty("java.class.path"),
            scenario.getName(),
            argument));
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
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
