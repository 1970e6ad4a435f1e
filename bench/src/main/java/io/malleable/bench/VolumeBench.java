package io.malleable.bench;

import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.LocalVolumeStore;
import io.malleable.volume.rbd.RbdVolumeStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Clone, snapshot, rollback and promote over size and chain depth: the embedded store, by itself
 * and through the server, RBD and qcow2 overlays.
 */
@Command(
    name = "volumes",
    description = "Clone, snapshot, rollback, promote over size and depth: M2, RBD, qcow2.")
final class VolumeBench implements Callable<Integer> {
  static final String LOCAL = "M2, embedded";
  static final String REST = "M2, embedded, by REST";
  static final String RBD = "M2, Ceph RBD";
  static final String QCOW2 = "qemu-img, qcow2";

  /** Name of the cluster's directory. */
  static final String CEPH = "ceph";

  private static final int SMALL_MIB = 64;

  /** More than a single pack holds. */
  private static final int LARGE_MIB = 1536;

  private static final int[] LARGE_DEPTHS = {1, 64};

  /** The largest part's files, and 1 GiB for file systems' and servers' own. */
  private static final long LARGE_BYTES =
      (((long) DepthReads.copies(LARGE_DEPTHS) * LARGE_MIB) << 20) + (1L << 30);

  private static final long OTHER_BYTES = 2L << 30;

  /** What is measured, in this order. */
  enum Part {
    CALLS,
    READS,
    REST,
    START,
    MANY,
    QCOW2,
    RBD
  }

  @Option(
      names = "--rounds",
      defaultValue = "7",
      description = "repetitions of each call (default ${DEFAULT-VALUE})")
  int rounds;

  @Option(
      names = "--seconds",
      defaultValue = "3",
      description = "length of one read over iSCSI (default ${DEFAULT-VALUE})")
  int seconds;

  @Option(names = "--no-rbd", description = "leave the one-node Ceph cluster out")
  boolean noRbd;

  @Option(
      names = "--parts",
      split = ",",
      paramLabel = "PART",
      description = "only these of ${COMPLETION-CANDIDATES}, separated by commas")
  Set<Part> parts = EnumSet.allOf(Part.class);

  @Option(
      names = "--out",
      description = "directory for the table and the chart; printed only when absent")
  Path out;

  private final VolumeReport report = new VolumeReport();

  @Override
  public Integer call() throws IOException, InterruptedException {
    long needed = parts.contains(Part.READS) ? LARGE_BYTES : OTHER_BYTES;
    try (Scratch scratch = Scratch.in(Path.of("/tmp"), needed)) {
      for (Part part : Part.values()) {
        if (parts.contains(part) && !(noRbd && part == Part.RBD)) {
          // What takes long shall not look as if it hung.
          System.err.println(part.name().toLowerCase(Locale.ROOT));
          measure(part, scratch);
        }
      }
    }
    System.out.print(report.markdown(rounds));
    if (out != null) {
      report.write(out, rounds);
    }
    return 0;
  }

  private void measure(Part part, Scratch scratch) throws IOException, InterruptedException {
    String name = part == Part.RBD ? CEPH : part.name().toLowerCase(Locale.ROOT);
    Path directory = scratch.part(name);
    CallTimes times = new CallTimes(report, rounds);
    switch (part) {
      case CALLS -> {
        try (VolumeStore store = LocalVolumeStore.open(directory)) {
          new StoreCalls(LOCAL, store, times).measure();
        }
      }
      case READS -> {
        new DepthReads(directory.resolve("small"), rounds, SMALL_MIB, CallTimes.DEPTHS)
            .measure(report);
        scratch.remove("reads/small");
        new DepthReads(directory.resolve("large"), rounds, LARGE_MIB, LARGE_DEPTHS).measure(report);
      }
      case REST -> new RestCalls(directory, times).measure();
      case START -> new ServerStart(directory, rounds).measure(report);
      case MANY -> new ManyVolumes(directory, rounds).measure(report);
      case QCOW2 -> new QcowCalls(directory, times).measure();
      case RBD -> measureRbd(directory, times);
    }
    scratch.remove(name);
  }

  private void measureRbd(Path directory, CallTimes times)
      throws IOException, InterruptedException {
    Programs.run(List.of("script/ceph-cluster", "start", directory.toString()));
    try {
      Path conf = directory.resolve("ceph.conf");
      try (VolumeStore store = RbdVolumeStore.open(RbdReads.config(conf))) {
        new StoreCalls(RBD, store, times).measure();
      }
      System.err.println("rbd over iSCSI");
      new RbdReads(conf, rounds, seconds).measure(report);
    } finally {
      Programs.run(List.of("script/ceph-cluster", "stop", directory.toString()));
    }
  }
}
