package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A network namespace of its own for one test: needs root, or the right to make user namespaces.
 */
final class Namespace {
  private static final List<String> PLACES = List.of("/usr/bin", "/bin", "/usr/sbin", "/sbin");

  private Namespace() {}

  /**
   * Runs a program of these tests in a namespace; it must end well. Nothing that it starts outlives
   * it.
   */
  static void run(Class<?> main, List<String> arguments, Path log, Duration limit, Needs needs)
      throws Exception {
    for (String program : needs.programs()) {
      assertTrue(
          PLACES.stream().anyMatch(place -> Files.isExecutable(Path.of(place, program))),
          program + " is missing: install " + needs.packages());
    }
    boolean root = System.getProperty("user.name").equals("root");
    List<String> command =
        new ArrayList<>(
            List.of(
                "unshare",
                root ? "-n" : "-Urn",
                "--mount",
                "--pid",
                "--mount-proc",
                "--kill-child",
                "--fork",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
    command.addAll(arguments);
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      boolean ended = process.waitFor(limit.toSeconds(), TimeUnit.SECONDS);
      String said = Files.readString(log);
      System.out.println(said);
      assertTrue(ended, () -> "the scenario hangs:\n" + said);
      assertEquals(0, process.exitValue(), said);
    } finally {
      process.destroyForcibly().onExit().join();
    }
  }

  /** Programs that must be there, and the packages that bring them. */
  record Needs(List<String> programs, String packages) {}
}
