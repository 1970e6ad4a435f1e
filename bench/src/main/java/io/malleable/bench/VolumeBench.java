package io.malleable.bench;

import io.malleable.volume.LocalVolumeStore;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.rbd.RbdVolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Clone, snapshot, rollback and promote over size and chain depth: the embedded store, RBD and
 * qcow2 overlays.
 */
@Command(
    name = "volumes",
    description = "Clone, snapshot, rollback, promote over size and depth: M2, RBD, qcow2.")
final class VolumeBench implements Callable<Integer> {
  static final String LOCAL = "M2, embedded";
  static final String RBD = "M2, Ceph RBD";
  static final String QCOW2 = "qemu-img, qcow2";

  private static final long GIB = 1L << 30;
  private static final long[] SIZES = {GIB, 64 * GIB, 1024 * GIB};
  static final int[] DEPTHS = {1, 8, 64};
  private static final int WRITTEN_BYTES = 64 << 20;
  private static final int WRITE_BYTES = 4096;
  private static final int READ_SIZE_MIB = 64;
  private static final int READ_ROUNDS_FACTOR = 3;

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
      names = "--out",
      description = "directory for the table and the chart; printed only when absent")
  Path out;

  private final VolumeReport report = new VolumeReport();

  private interface Call {
    void run() throws IOException, InterruptedException;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path directory = Files.createTempDirectory(Path.of("/tmp"), "m2-bench");
    try {
      say(LOCAL);
      try (VolumeStore store = LocalVolumeStore.open(directory.resolve("store"))) {
        measureStore(LOCAL, store);
      }
      say("reads of deep chains");
      Path reads = Files.createDirectories(directory.resolve("reads"));
      new DepthReads(reads, READ_ROUNDS_FACTOR * rounds, READ_SIZE_MIB).measure(report);
      say("start of a server with " + ServerStart.DISKS + " disks");
      new ServerStart(directory.resolve("data"), rounds).measure(report);
      say(QCOW2);
      measureQcow2(Files.createDirectory(directory.resolve("qcow2")));
      if (!noRbd) {
        measureRbd(directory.resolve("ceph"));
      }
    } finally {
      say("deleting what was measured");
      TargetBench.delete(directory);
    }
    System.out.print(report.markdown(rounds));
    if (out != null) {
      report.write(out, rounds);
    }
    return 0;
  }

  /** What takes long shall not look as if it hung. */
  private static void say(String section) {
    System.err.println(section);
  }

  private void measureRbd(Path directory) throws IOException, InterruptedException {
    say(RBD);
    Programs.run(List.of("script/ceph-cluster", "start", directory.toString()));
    try {
      Path conf = directory.resolve("ceph.conf");
      try (VolumeStore store = RbdVolumeStore.open(RbdReads.config(conf))) {
        measureStore(RBD, store);
      }
      say("RBD over iSCSI");
      new RbdReads(conf, rounds, seconds).measure(report);
    } finally {
      Programs.run(List.of("script/ceph-cluster", "stop", directory.toString()));
    }
  }

  private void measureStore(String name, VolumeStore store)
      throws IOException, InterruptedException {
    for (long size : SIZES) {
      UUID image = image(store, size);
      for (int round = 0; round <= rounds; round++) {
        UUID disk = UUID.randomUUID();
        UUID snapshot = UUID.randomUUID();
        boolean counts = round > 0;
        time(name, "clone", size, 1, counts, () -> store.clone(disk, image, size));
        try (Volume volume = store.open(disk)) {
          volume.write(0, ByteBuffer.allocate(WRITE_BYTES));
          time(name, "snapshot in use", size, 1, counts, () -> store.snapshot(snapshot, disk));
        }
        time(name, "rollback", size, 1, counts, () -> store.rollback(disk, snapshot));
        time(name, "promote", size, 1, counts, () -> promote(store, snapshot, size));
      }
    }
    for (int depth : DEPTHS) {
      UUID disk = chain(store, depth);
      for (int round = 0; round <= rounds; round++) {
        UUID snapshot = UUID.randomUUID();
        UUID clone = UUID.randomUUID();
        boolean counts = round > 0;
        UUID[] image = new UUID[1];
        time(name, "snapshot at depth", 0, depth, counts, () -> store.snapshot(snapshot, disk));
        time(name, "clone at depth", 0, depth, counts, () -> store.clone(clone, snapshot, GIB));
        time(name, "rollback at depth", 0, depth, counts, () -> store.rollback(disk, snapshot));
        time(
            name,
            "promote at depth",
            0,
            depth,
            counts,
            () -> image[0] = promote(store, snapshot, GIB));
        store.delete(image[0]);
        store.delete(clone);
        store.delete(snapshot);
      }
    }
  }

  /** As the server makes a golden image of a snapshot. */
  private static UUID promote(VolumeStore store, UUID snapshot, long sizeBytes) throws IOException {
    UUID image = UUID.randomUUID();
    store.clone(image, snapshot, sizeBytes);
    store.seal(image);
    return image;
  }

  private void time(String contender, String what, long size, int depth, boolean counts, Call call)
      throws IOException, InterruptedException {
    long started = System.nanoTime();
    call.run();
    double millis = (System.nanoTime() - started) / 1e6;
    if (counts) {
      report.call(what, size, depth, contender, millis);
    }
  }

  /** A sealed, sparse image with some MiB of data. */
  private static UUID image(VolumeStore store, long sizeBytes) throws IOException {
    UUID image = UUID.randomUUID();
    store.create(image, sizeBytes);
    try (Volume volume = store.open(image)) {
      ByteBuffer chunk = ByteBuffer.allocate(1 << 20);
      new Random(1).nextBytes(chunk.array());
      for (int offset = 0; offset < WRITTEN_BYTES; offset += chunk.capacity()) {
        volume.write(offset, chunk.clear());
      }
    }
    store.seal(image);
    return image;
  }

  /**
   * A disk of 1 GiB with {@code depth - 1} snapshots, each of which has something of its own. All
   * of it within one of RBD's objects, since every snapshot keeps its own copy of what is written
   * to.
   */
  private static UUID chain(VolumeStore store, int depth) throws IOException {
    UUID disk = UUID.randomUUID();
    store.clone(disk, image(store, GIB), GIB);
    for (int layer = 1; layer < depth; layer++) {
      try (Volume volume = store.open(disk)) {
        volume.write((long) layer * WRITE_BYTES, ByteBuffer.allocate(WRITE_BYTES));
      }
      store.snapshot(UUID.randomUUID(), disk);
    }
    return disk;
  }

  private void measureQcow2(Path directory) throws IOException, InterruptedException {
    Programs.require("qemu-img", "qemu-utils");
    for (long size : SIZES) {
      Path base = directory.resolve("base-" + size + ".qcow2");
      qemuImg("create", "-q", "-f", "qcow2", base.toString(), Long.toString(size));
      for (int round = 0; round <= rounds; round++) {
        Path clone = directory.resolve("clone-" + size + "-" + round + ".qcow2");
        boolean counts = round > 0;
        time(
            QCOW2,
            "clone",
            size,
            1,
            counts,
            () ->
                qemuImg(
                    "create",
                    "-q",
                    "-f",
                    "qcow2",
                    "-F",
                    "qcow2",
                    "-b",
                    base.toString(),
                    clone.toString()));
        time(
            QCOW2,
            "snapshot",
            size,
            1,
            counts,
            () -> qemuImg("snapshot", "-c", "s", clone.toString()));
        time(
            QCOW2,
            "rollback",
            size,
            1,
            counts,
            () -> qemuImg("snapshot", "-a", "s", clone.toString()));
      }
    }
  }

  private static void qemuImg(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("qemu-img"));
    command.addAll(List.of(arguments));
    Programs.run(command);
  }
}
