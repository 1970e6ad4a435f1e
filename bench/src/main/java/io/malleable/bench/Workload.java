package io.malleable.bench;

import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One way to load a target, with a program that we did not write.
 *
 * @param required how many times tgtd's rate ours must reach; 0 for no requirement
 * @param unit of the rate
 */
record Workload(String title, Kind kind, int blockBytes, int depth, double required, String unit) {
  enum Kind {
    RANDOM_READ,
    SEQUENTIAL_READ,
    SEQUENTIAL_WRITE,

    /** Of blocks of a new clone that were never written to. */
    FIRST_WRITE,

    /** Of the blocks that the unmeasured round wrote. */
    OVERWRITE,

    /** Of such blocks, each followed by SYNCHRONIZE CACHE. */
    WRITE_AND_FLUSH;

    boolean reads() {
      return this == RANDOM_READ || this == SEQUENTIAL_READ;
    }

    /** Whether each round needs a unit of its own. */
    boolean fresh() {
      return this == FIRST_WRITE || this == WRITE_AND_FLUSH;
    }
  }

  /** Each takes as long as the drive does. */
  private static final int FLUSHES = 500;

  /** A file system may need long to free what they leave, piece by piece. */
  private static final int SCATTERED_WRITES = 32_768;

  private static final Pattern AVERAGE_IOPS = Pattern.compile("iops average (\\d+)");
  private static final Pattern RUN_SECONDS = Pattern.compile("Run completed in ([0-9.]+) seconds");

  static List<Workload> all() {
    return List.of(
        new Workload("random 4k read, depth 32", Kind.RANDOM_READ, 4096, 32, 3.0, "IOPS"),
        new Workload("random 4k read, depth 1", Kind.RANDOM_READ, 4096, 1, 2.2, "IOPS"),
        new Workload("sequential 64k read, depth 8", Kind.SEQUENTIAL_READ, 65536, 8, 2.2, "MB/s"),
        new Workload("4k write, depth 32", Kind.SEQUENTIAL_WRITE, 4096, 32, 2.0, "IOPS"),
        new Workload("64k write, depth 8", Kind.SEQUENTIAL_WRITE, 65536, 8, 1.5, "MB/s"),
        new Workload("random first 4k write, depth 32", Kind.FIRST_WRITE, 4096, 32, 0, "IOPS"),
        new Workload("random 4k overwrite, depth 32", Kind.OVERWRITE, 4096, 32, 0, "IOPS"),
        new Workload("random 4k write and flush", Kind.WRITE_AND_FLUSH, 4096, 1, 0, "pairs/s"));
  }

  /**
   * Requests per second.
   *
   * @param bytes of the unit that a write may cover
   */
  double run(String url, int seconds, long bytes) throws IOException, InterruptedException {
    return kind.reads() ? read(url, seconds) : write(url, bytes);
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
    long blocks = bytes / blockBytes;
    long count = Math.min(blocks, requests());
    List<String> command =
        new ArrayList<>(List.of("qemu-img", "bench", "-w", "-f", "raw", "-t", "none"));
    command.addAll(List.of("-d", Integer.toString(depth), "-s", Integer.toString(blockBytes)));
    command.addAll(List.of("-c", Long.toString(count)));
    if (kind != Kind.SEQUENTIAL_WRITE) {
      command.addAll(List.of("-S", Long.toString(stride(blocks) * blockBytes)));
    }
    if (kind == Kind.WRITE_AND_FLUSH) {
      command.add("--flush-interval=1");
    }
    command.add(url);
    String output = Programs.run(command);
    Matcher matcher = RUN_SECONDS.matcher(output);
    if (!matcher.find()) {
      throw new IOException("qemu-img bench printed no time:\n" + output);
    }
    return count / Double.parseDouble(matcher.group(1));
  }

  private long requests() {
    return switch (kind) {
      case WRITE_AND_FLUSH -> FLUSHES;
      case FIRST_WRITE, OVERWRITE -> SCATTERED_WRITES;
      default -> 100_000;
    };
  }

  /**
   * From one write to the next, around the end of the drive: as scattered as random places, and no
   * block comes twice before all have come. The golden ratio leaves no two neighbours near in time.
   */
  private static long stride(long blocks) {
    long stride = Math.max(1, Math.round(blocks * 0.618));
    while (!BigInteger.valueOf(stride).gcd(BigInteger.valueOf(blocks)).equals(BigInteger.ONE)) {
      stride++;
    }
    return stride;
  }

  /** A rate in this workload's unit. */
  double inUnit(double requestsPerSecond) {
    return unit.equals("MB/s") ? requestsPerSecond * blockBytes / 1e6 : requestsPerSecond;
  }
}
