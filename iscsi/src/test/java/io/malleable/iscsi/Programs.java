package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Runs initiators that we did not write; says which package brings one that is missing. */
final class Programs {
  /** What a program printed, both streams, and how it ended. */
  record Result(int exitCode, String output) {}

  private Programs() {}

  static Result run(String debianPackage, Path scratch, long limitSeconds, List<String> command)
      throws IOException, InterruptedException {
    require(command.getFirst(), debianPackage);
    Path output = Files.createTempFile(scratch, "output", ".txt");
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .redirectInput(new File("/dev/null"))
            .start();
    try {
      if (!process.waitFor(limitSeconds, TimeUnit.SECONDS)) {
        fail(command + " did not end in " + limitSeconds + " s: " + text(output));
      }
    } finally {
      process.destroyForcibly();
    }
    return new Result(process.exitValue(), text(output));
  }

  private static String text(Path output) throws IOException {
    return new String(Files.readAllBytes(output), StandardCharsets.ISO_8859_1);
  }

  private static void require(String program, String debianPackage) {
    for (String directory : System.getenv("PATH").split(File.pathSeparator, -1)) {
      if (Files.isExecutable(Path.of(directory, program))) {
        return;
      }
    }
    fail(program + " is missing: install the Debian package " + debianPackage);
  }
}
