package io.malleable.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One way to load a target, with a program that we did not write.
 *
 * @param required how many times tgtd's rate ours must reach
 * @param unit of the rate
 */
record Workload(String title, Kind kind, int blockBytes, int depth, double required, String unit) {
  enum Kind {
    RANDOM_READ,
    SEQUENTIAL_READ,
    SEQUENTIAL_WRITE
  }

  private static final Pattern AVERAGE_IOPS = Pattern.compile("iops average (\\d+)");
  private static final Pattern RUN_SECONDS = Pattern.compile("Run completed in ([0-9.]+) seconds");

  static List<Workload> all() {
    return List.of(
        new Workload("random 4k read, depth 32", Kind.RANDOM_READ, 4096, 32, 3.0, "IOPS"),
        new Workload("random 4k read, depth 1", Kind.RANDOM_READ, 4096, 1, 2.2, "IOPS"),
        new Workload("sequential 64k read, depth 8", Kind.SEQUENTIAL_READ, 65536, 8, 2.2, "MB/s"),
        new Workload("4k write, depth 32", Kind.SEQUENTIAL_WRITE, 4096, 32, 2.0, "IOPS"),
        new Workload("64k write, depth 8", Kind.SEQUENTIAL_WRITE, 65536, 8, 1.5, "MB/s"));
  }

  /**
   * Requests per second.
   *
   * @param bytes of the unit that a write may cover
   */
  double run(String url, int seconds, long bytes) throws IOException, InterruptedException {
    return kind == Kind.SEQUENTIAL_WRITE ? write(url, bytes) : read(url, seconds);
  }

  private double read(String url, int seconds) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "iscsi-perf",
                "-b",
                Integer.toString(blockBytes / 512),
                "-m",
                Integer.toString(depth),
                "-t",
                Integer.toString(seconds)));
    if (kind == Kind.RANDOM_READ) {
      command.add("-r");
    }
    command.add(url);
    String output = Programs.run(command);
    Matcher matcher = AVERAGE_IOPS.matcher(output);
    double last = Double.NaN;
    while (matcher.find()) {
      last = Double.parseDouble(matcher.group(1));
    }
    if (Double.isNaN(last)) {
      throw new IOException("iscsi-perf printed no average:\n" + output);
    }
    return last;
  }

  private double write(String url, long bytes) throws IOException, InterruptedException {
    long count = Math.min(bytes / blockBytes, 100_000);
    String output =
        Programs.run(
            List.of(
                "qemu-img",
                "bench",
                "-w",
                "-f",
                "raw",
                "-t",
                "none",
                "-d",
                Integer.toString(depth),
                "-s",
                Integer.toString(blockBytes),
                "-c",
                Long.toString(count),
                url));
    Matcher matcher = RUN_SECONDS.matcher(output);
    if (!matcher.find()) {
      throw new IOException("qemu-img bench printed no time:\n" + output);
    }
    return count / Double.parseDouble(matcher.group(1));
  }

  /** A rate in this workload's unit. */
  double inUnit(double requestsPerSecond) {
    return unit.equals("MB/s") ? requestsPerSecond * blockBytes / 1e6 : requestsPerSecond;
  }
}
