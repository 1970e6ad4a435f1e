package io.malleable.bench;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * The same calls by {@code qemu-img} on qcow2 files of the same data: a clone is a new overlay, a
 * snapshot an internal one of the uppermost overlay, which nobody has open.
 */
final class QcowCalls {
  private static final String CONTENDER = VolumeBench.QCOW2;

  private final Path directory;
  private final CallTimes times;

  QcowCalls(Path directory, CallTimes times) {
    this.directory = directory;
    this.times = times;
  }

  void measure() throws IOException, InterruptedException {
    Programs.require("qemu-img", "qemu-utils");
    Programs.require("qemu-io", "qemu-utils");
    for (long size : CallTimes.SIZES) {
      Path base = base(size);
      times.rounds(
          round -> calls(base, round.row(CONTENDER, what -> CallTimes.atSize(what, size))));
    }
    for (int depth : CallTimes.DEPTHS) {
      Path top = chain(depth);
      times.rounds(round -> atDepth(top, depth, round));
    }
  }

  private void calls(Path base, CallTimes.Row row) throws IOException, InterruptedException {
    Path clone = directory.resolve("clone.qcow2");
    row.time("clone", () -> overlay(base, clone));
    write(clone, 0);
    row.time("snapshot", () -> qemuImg("snapshot", "-c", "s", clone.toString()));
    row.time("rollback", () -> qemuImg("snapshot", "-a", "s", clone.toString()));
    Files.delete(clone);
  }

  private void atDepth(Path top, int depth, CallTimes.Round round)
      throws IOException, InterruptedException {
    CallTimes.Row row = round.row(CONTENDER, what -> CallTimes.atDepth(what, depth));
    Path clone = directory.resolve("clone.qcow2");
    row.time("snapshot", () -> qemuImg("snapshot", "-c", "s", top.toString()));
    row.time("clone", () -> overlay(top, clone));
    row.time("rollback", () -> qemuImg("snapshot", "-a", "s", top.toString()));
    qemuImg("snapshot", "-d", "s", top.toString());
    Files.delete(clone);
  }

  /** An image of the data that ours has, too. */
  private Path base(long sizeBytes) throws IOException, InterruptedException {
    Path raw = directory.resolve("base.raw");
    Path base = directory.resolve("base-" + sizeBytes + ".qcow2");
    raw(raw, sizeBytes);
    qemuImg("convert", "-f", "raw", "-O", "qcow2", raw.toString(), base.toString());
    Files.delete(raw);
    return base;
  }

  /** A sparse file of which the beginning holds random bytes. */
  static void raw(Path path, long sizeBytes) throws IOException {
    byte[] chunk = new byte[1 << 20];
    new Random(1).nextBytes(chunk);
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(sizeBytes);
      for (int written = 0; written < CallTimes.DATA_BYTES; written += chunk.length) {
        file.write(chunk);
      }
    }
  }

  /** An overlay over {@code depth - 1} others, each of which has 4 KiB of its own. */
  private Path chain(int depth) throws IOException, InterruptedException {
    Path below = directory.resolve("base-" + CallTimes.GIB + ".qcow2");
    for (int layer = 1; layer <= depth; layer++) {
      Path overlay = directory.resolve("chain-" + depth + "-" + layer + ".qcow2");
      overlay(below, overlay);
      write(overlay, (long) layer * WriteLoad.WRITE_BYTES);
      below = overlay;
    }
    return below;
  }

  private static void overlay(Path below, Path overlay) throws IOException, InterruptedException {
    qemuImg(
        "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below.toString(), overlay.toString());
  }

  private static void write(Path overlay, long offset) throws IOException, InterruptedException {
    String command = "write -q -P 7 " + offset + " " + WriteLoad.WRITE_BYTES;
    Programs.run(List.of("qemu-io", "-f", "qcow2", "-c", command, overlay.toString()));
  }

  private static void qemuImg(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("qemu-img"));
    command.addAll(List.of(arguments));
    Programs.run(command);
  }
}
