package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** Programs that tests need and did not bring; a missing one fails the test by its package. */
final class Programs {
  private static final Map<String, String> PACKAGES =
      Map.of(
          "qemu-io", "qemu-utils and qemu-block-extra",
          "qemu-img", "qemu-utils and qemu-block-extra",
          "iscsi-inq", "libiscsi-bin",
          "iscsi-readcapacity16", "libiscsi-bin");

  private Programs() {}

  /** What the program says; it must succeed. */
  static String run(List<String> command) throws IOException, InterruptedException {
    Process process = start(command);
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), () -> command.getFirst() + ": " + output);
    // qemu-io reports a failed command and still exits with 0.
    assertEquals(false, output.contains("failed"), output);
    return output;
  }

  static int status(List<String> command) throws IOException, InterruptedException {
    Process process = start(command);
    process.getInputStream().readAllBytes();
    return process.waitFor();
  }

  private static Process start(List<String> command) throws IOException {
    try {
      return new ProcessBuilder(command).redirectErrorStream(true).start();
    } catch (IOException e) {
      String program = command.getFirst();
      throw new AssertionError(
          program + " cannot be started; install the Debian package " + PACKAGES.get(program), e);
    }
  }
}
