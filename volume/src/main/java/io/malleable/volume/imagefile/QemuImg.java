package io.malleable.volume.imagefile;

import io.malleable.volume.imagefile.ImageException.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Runs {@code qemu-img} on files that strangers made: with explicit formats and {@code file:}
 * names, so that no name inside an image is ever taken for another file or an URL, and within
 * limits of memory and time.
 */
final class QemuImg {
  private static final long ADDRESS_SPACE_BYTES = 4L << 30;
  private static final Duration CHECK_TIMEOUT = Duration.ofMinutes(10);
  private static final Duration STALL_TIMEOUT = Duration.ofMinutes(5);
  private static final int POLL_MILLIS = 50;
  private static final int MAX_OUTPUT_CHARS = 2000;
  private static final int CHECK_LEAKS_ONLY = 3;
  private static final int CHECK_NOT_SUPPORTED = 63;

  /** Watches a run; percent is 0 to 100. Throws to end it. */
  interface Watch {
    void onPercent(double percent) throws IOException;
  }

  /** Refuses an image whose tables are inconsistent or point behind its end. */
  void check(Path image, ImageFormat format, Watch watch) throws IOException {
    Result result =
        run(List.of("check", "-q", "-f", format.label(), name(image)), CHECK_TIMEOUT, watch);
    if (result.exit == CHECK_LEAKS_ONLY || result.exit == CHECK_NOT_SUPPORTED) {
      return;
    }
    if (result.exit != 0) {
      boolean cutOff = result.errors.contains("end of the file");
      throw new ImageException(
          cutOff ? Reason.TRUNCATED : Reason.DAMAGED,
          "image file %s is %s: %s"
              .formatted(image, cutOff ? "truncated" : "damaged", firstLine(result.errors)),
          "download or copy it again");
    }
  }

  /** Converts from one format to another; holes stay holes. */
  void convert(Path from, ImageFormat fromFormat, Path to, ImageFormat toFormat, Watch watch)
      throws IOException {
    Result result =
        run(
            List.of(
                "convert",
                "-p",
                "-f",
                fromFormat.label(),
                "-O",
                toFormat.label(),
                name(from),
                name(to)),
            STALL_TIMEOUT,
            watch);
    if (result.exit != 0) {
      throw new ImageException(
          Reason.TOOL_FAILED,
          "qemu-img cannot convert %s: %s".formatted(from, firstLine(result.errors)),
          "check the file with: qemu-img check " + from.getFileName());
    }
  }

  private static String name(Path path) {
    return "file:" + path.toAbsolutePath();
  }

  private static String firstLine(String text) {
    String line = text.strip().lines().findFirst().orElse("no message");
    return line.replaceFirst("^qemu-img: ", "");
  }

  private record Result(int exit, String errors) {}

  /** Runs until the end, or until nothing has moved for so long. */
  private static Result run(List<String> arguments, Duration stallTimeout, Watch watch)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.addAll(List.of("prlimit", "--as=" + ADDRESS_SPACE_BYTES, "--", "qemu-img"));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("LC_ALL", "C");
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw toolMissing(e.toString());
    }
    try {
      process.getOutputStream().close();
      Output output = new Output(process.getInputStream());
      Output errors = new Output(process.getErrorStream());
      int exit = await(process, output, stallTimeout, watch);
      output.join();
      errors.join();
      if (exit == 127 || errors.text().contains("failed to execute qemu-img")) {
        throw toolMissing(errors.text());
      }
      return new Result(exit, errors.text() + output.text());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ImageException(
          Reason.CANCELLED, "interrupted while qemu-img was running", "start it again");
    } finally {
      process.destroyForcibly();
    }
  }

  private static int await(Process process, Output output, Duration stallTimeout, Watch watch)
      throws IOException, InterruptedException {
    long movedAtNanos = System.nanoTime();
    double last = 0;
    while (!process.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
      double percent = output.percent();
      watch.onPercent(percent);
      if (percent > last) {
        last = percent;
        movedAtNanos = System.nanoTime();
      } else if (System.nanoTime() - movedAtNanos > stallTimeout.toNanos()) {
        throw new ImageException(
            Reason.TOOL_FAILED,
            "qemu-img made no progress for " + stallTimeout.toSeconds() + " seconds",
            "check the storage below, then try again");
      }
    }
    return process.exitValue();
  }

  private static ImageException toolMissing(String message) {
    return new ImageException(
        Reason.TOOL_MISSING,
        "cannot run qemu-img: " + message,
        "install the Debian packages qemu-utils and util-linux");
  }

  /** Drains a stream of the process and keeps its last characters. */
  private static final class Output {
    private final Thread thread;
    // Guarded by this.
    private final StringBuilder text = new StringBuilder();

    Output(InputStream stream) {
      thread =
          Thread.ofVirtual()
              .start(() -> {
                byte[] buffer = new byte[512];
                try (stream) {
                  for (int n = stream.read(buffer); n >= 0; n = stream.read(buffer)) {
                    append(new String(buffer, 0, n, StandardCharsets.ISO_8859_1));
                  }
                } catch (IOException e) {
                  append("(output lost: " + e.getMessage() + ")");
                }
              });
    }

    private synchronized void append(String more) {
      text.append(more);
      if (text.length() > MAX_OUTPUT_CHARS) {
        text.delete(0, text.length() - MAX_OUTPUT_CHARS);
      }
    }

    synchronized String text() {
      return text.toString();
    }

    /** From the last complete {@code (12.34/100%)}. */
    synchronized double percent() {
      int end = text.lastIndexOf("/100%)");
      int start = end < 0 ? -1 : text.lastIndexOf("(", end);
      if (start < 0) {
        return 0;
      }
      try {
        return Double.parseDouble(text.substring(start + 1, end));
      } catch (NumberFormatException e) {
        // Not a progress line; the run goes on without one.
        return 0;
      }
    }

    void join() throws InterruptedException {
      thread.join(Duration.ofSeconds(5));
    }
  }
}
