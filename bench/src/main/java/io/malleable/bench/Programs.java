package io.malleable.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Other programs that a benchmark runs. */
final class Programs {
  private static final long LIMIT_SECONDS = 300;

  private Programs() {}

  /** Fails with the Debian package's name when the program is not installed. */
  static void require(String program, String debianPackage) throws IOException {
    for (String directory : System.getenv("PATH").split(":", -1)) {
      if (Files.isExecutable(Path.of(directory, program))) {
        return;
      }
    }
    if (!Files.isExecutable(Path.of("/usr/sbin", program))) {
      throw new IOException(
          program + " is not installed: it is in the Debian package " + debianPackage);
    }
  }

  /** Everything that the program printed; an exit status other than zero is an error. */
  static String run(List<String> command) throws IOException, InterruptedException {
    Path output = Files.createTempFile("m2-bench", ".out");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
      process.getOutputStream().close();
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IOException(
            String.join(" ", command) + " did not end within " + LIMIT_SECONDS + " s");
      }
      String text = Files.readString(output);
      if (process.exitValue() != 0) {
        throw new IOException(String.join(" ", command) + " failed:\n" + text);
      }
      return text;
    } finally {
      Files.delete(output);
    }
  }

  /** User and system time of a process so far. */
  static double cpuSeconds(long pid) throws IOException {
    String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
    // Fields are counted after the command's name, which may hold blanks; see proc(5): utime is 14,
    // stime 15.
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
  }
}
