package io.malleable.bench;

import io.malleable.volume.LocalVolumeStore;
import io.malleable.volume.Volume;
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
import java.util.Random;
import java.util.SplittableRandom;
import java.util.UUID;

/**
 * Random 4k reads of an open disk whose blocks are spread evenly over all layers above the image,
 * the worst there is: no two neighbours in the same layer.
 */
final class DepthReads {
  private static final int READ_BYTES = 4096;
  private static final int READS_PER_SAMPLE = 20_000;
  private static final int NEVER = Integer.MAX_VALUE;

  private final Path directory;
  private final int rounds;
  private final int sizeMib;

  DepthReads(Path directory, int rounds, int sizeMib) {
    this.directory = directory;
    this.rounds = rounds;
    this.sizeMib = sizeMib;
  }

  void measure(VolumeReport report) throws IOException {
    LocalVolumeStore.Settings settings = LocalVolumeStore.Settings.defaults();
    LocalVolumeStore.Settings unpacked =
        new LocalVolumeStore.Settings(settings.reserveBytes(), NEVER);
    try (LocalVolumeStore store = LocalVolumeStore.open(directory.resolve("packed"), settings);
        LocalVolumeStore plain = LocalVolumeStore.open(directory.resolve("plain"), unpacked)) {
      Map<String, Volume> volumes = new LinkedHashMap<>();
      for (int depth : VolumeBench.DEPTHS) {
        volumes.put(Integer.toString(depth), store.open(spread(store, depth)));
      }
      int deepest = VolumeBench.DEPTHS[VolumeBench.DEPTHS.length - 1];
      volumes.put(deepest + ", before it is packed", plain.open(spread(plain, deepest)));
      // What a server does by itself in the seconds after a snapshot.
      store.maintain();
      plain.maintain();
      for (int round = -1; round < rounds; round++) {
        for (Map.Entry<String, Volume> entry : volumes.entrySet()) {
          sample(report, entry.getKey(), entry.getValue(), round);
        }
      }
    }
  }

  private void sample(VolumeReport report, String what, Volume volume, int round)
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
      report.reads(sizeMib, what, perSecond, cpuNanos);
    }
  }

  private UUID spread(LocalVolumeStore store, int depth) throws IOException {
    UUID image = UUID.randomUUID();
    UUID disk = UUID.randomUUID();
    long size = (long) sizeMib << 20;
    store.create(image, size);
    try (Volume volume = store.open(image)) {
      ByteBuffer chunk = ByteBuffer.allocate(1 << 20);
      new Random(1).nextBytes(chunk.array());
      for (long offset = 0; offset < size; offset += chunk.capacity()) {
        volume.write(offset, chunk.clear());
      }
    }
    store.seal(image);
    store.clone(disk, image, size);
    List<Integer> blocks = new ArrayList<>();
    for (int block = 0; block < sizeMib << 8; block++) {
      blocks.add(block);
    }
    Collections.shuffle(blocks, new Random(depth));
    for (int layer = 1; layer < depth; layer++) {
      int from = (int) ((long) blocks.size() * (layer - 1) / (depth - 1));
      int to = (int) ((long) blocks.size() * layer / (depth - 1));
      try (Volume volume = store.open(disk)) {
        for (int block : blocks.subList(from, to)) {
          volume.write((long) block * READ_BYTES, ByteBuffer.allocate(READ_BYTES));
        }
      }
      store.snapshot(UUID.randomUUID(), disk);
    }
    return disk;
  }
}
