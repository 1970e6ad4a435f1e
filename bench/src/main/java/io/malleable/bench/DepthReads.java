package io.malleable.bench;

import io.malleable.volume.Volume;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.UUID;

/**
 * Random 4k reads of an open disk whose blocks are spread evenly over all layers above the image,
 * the worst there is: no two neighbours in the same layer. Then the calls on the deepest chain.
 */
final class DepthReads {
  private static final int READ_BYTES = 4096;
  private static final int READS_PER_SAMPLE = 20_000;
  private static final int READ_ROUNDS_FACTOR = 3;
  private static final int NEVER = Integer.MAX_VALUE;

  /** What this makes of its size: the image, the layers of all but the lowest depth, the packs. */
  static int copies(int... depths) {
    return 1 + 2 * (depths.length - 1);
  }

  private final Path directory;
  private final int rounds;
  private final int sizeMib;
  private final int[] depths;

  /**
   * Chains of several depths, ascending, of a disk that is written all over.
   *
   * @param rounds of the calls; reads are repeated more often
   */
  DepthReads(Path directory, int rounds, int sizeMib, int... depths) {
    this.directory = directory;
    this.rounds = rounds;
    this.sizeMib = sizeMib;
    this.depths = depths;
  }

  /** First as a snapshot leaves a chain, then as it is some seconds later. */
  void measure(VolumeReport report) throws IOException, InterruptedException {
    LocalVolumeStore.Settings settings = LocalVolumeStore.Settings.defaults();
    LocalVolumeStore.Settings unpacked =
        new LocalVolumeStore.Settings(settings.reserveBytes(), NEVER);
    Map<Integer, UUID> disks = new LinkedHashMap<>();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory, unpacked)) {
      UUID image = StoreCalls.image(store, sizeBytes(), sizeBytes());
      for (int depth : depths) {
        disks.put(depth, spread(store, image, depth));
      }
      measure(report, store, disks, "before it is packed");
    }
    try (LocalVolumeStore store = LocalVolumeStore.open(directory, settings)) {
      measure(report, store, disks, "packed");
    }
  }

  private void measure(
      VolumeReport report, LocalVolumeStore store, Map<Integer, UUID> disks, String state)
      throws IOException, InterruptedException {
    reads(report, store, disks, state);
    int depth = depths[depths.length - 1];
    UUID deepest = Objects.requireNonNull(disks.get(depth));
    StoreCalls calls = new StoreCalls(VolumeBench.LOCAL, store, new CallTimes(report, rounds));
    String where = " at depth %d, %,d MiB, %s".formatted(depth, sizeMib, state);
    calls.deep(deepest, sizeBytes(), what -> what + where);
  }

  private void reads(
      VolumeReport report, LocalVolumeStore store, Map<Integer, UUID> disks, String state)
      throws IOException {
    Map<Integer, Volume> volumes = new LinkedHashMap<>();
    try {
      for (Map.Entry<Integer, UUID> disk : disks.entrySet()) {
        volumes.put(disk.getKey(), store.open(disk.getValue()));
      }
      // What a server does by itself in the seconds after a snapshot.
      store.maintain();
      for (int round = -1; round < READ_ROUNDS_FACTOR * rounds; round++) {
        for (Map.Entry<Integer, Volume> entry : volumes.entrySet()) {
          sample(report, entry.getKey(), state, entry.getValue(), round);
        }
      }
    } finally {
      for (Volume volume : volumes.values()) {
        volume.close();
      }
    }
  }

  private void sample(VolumeReport report, int depth, String state, Volume volume, int round)
      throws IOException {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    ByteBuffer buffer = ByteBuffer.allocateDirect(READ_BYTES);
    int blocks = sizeMib << 8;
    // The unmeasured round reads every block once, so that each has been compared with its
    // checksum.
    int reads = round < 0 ? blocks : READS_PER_SAMPLE;
    SplittableRandom random = new SplittableRandom(round);
    long startedNanos = System.nanoTime();
    long cpuBefore = threads.getCurrentThreadCpuTime();
    for (int i = 0; i < reads; i++) {
      int block = round < 0 ? i : random.nextInt(blocks);
      volume.read((long) block * READ_BYTES, buffer.clear());
    }
    double cpuNanos = (double) (threads.getCurrentThreadCpuTime() - cpuBefore) / reads;
    double perSecond = reads * 1e9 / (System.nanoTime() - startedNanos);
    if (round >= 0) {
      report.reads(sizeMib, state, depth, perSecond, cpuNanos);
    }
  }

  private long sizeBytes() {
    return (long) sizeMib << 20;
  }

  private UUID spread(LocalVolumeStore store, UUID image, int depth) throws IOException {
    UUID disk = UUID.randomUUID();
    store.clone(disk, image, sizeBytes());
    List<Integer> blocks = new ArrayList<>();
    for (int block = 0; block < sizeMib << 8; block++) {
      blocks.add(block);
    }
    Collections.shuffle(blocks, new Random(depth));
    ByteBuffer data = ByteBuffer.allocateDirect(READ_BYTES);
    for (int layer = 1; layer < depth; layer++) {
      int from = (int) ((long) blocks.size() * (layer - 1) / (depth - 1));
      int to = (int) ((long) blocks.size() * layer / (depth - 1));
      try (Volume volume = store.open(disk)) {
        for (int block : blocks.subList(from, to)) {
          data.putInt(0, block);
          volume.write((long) block * READ_BYTES, data.clear());
        }
      }
      store.snapshot(UUID.randomUUID(), disk);
    }
    return disk;
  }
}
