package io.malleable.bench;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.rbd.RbdConfig;
import io.malleable.volume.rbd.RbdVolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.UUID;

/** Reads of one RBD clone over iSCSI, by our target and by tgt-rbd, interleaved. */
final class RbdReads {
  static final String OURS = "M2, Ceph RBD";
  static final String TGT = "tgt-rbd";
  static final int SIZE_MIB = 256;

  static final List<Workload> WORKLOADS =
      List.of(
          new Workload(
              "random 4k read, depth 32", Workload.Kind.RANDOM_READ, 4096, 32, 1.5, "IOPS"),
          new Workload("random 4k read, depth 1", Workload.Kind.RANDOM_READ, 4096, 1, 0, "IOPS"),
          new Workload(
              "sequential 64k read, depth 8", Workload.Kind.SEQUENTIAL_READ, 65536, 8, 0, "MB/s"));

  /** For both: a JVM that shares two processors with an OSD compiles its hot path slowly. */
  private static final int WARM_UP_SECONDS = 30;

  private final Path conf;
  private final int rounds;
  private final int seconds;

  RbdReads(Path conf, int rounds, int seconds) {
    this.conf = conf;
    this.rounds = rounds;
    this.seconds = seconds;
  }

  /** Patient, as a one-node cluster on a busy machine is slow at times. */
  static RbdConfig config(Path conf) {
    return new RbdConfig(conf, "m2", "m2", Duration.ofMinutes(2), UUID.randomUUID());
  }

  void measure(VolumeReport report) throws IOException, InterruptedException {
    UUID clone = filledClone();
    List<Contender> contenders = new ArrayList<>();
    try {
      contenders.add(
          M2Contender.start(
              OURS, conf.resolveSibling("m2.log"), "rbd", conf.toString(), clone.toString()));
      contenders.add(
          TgtContender.startRbd(TGT, conf, "m2", "m2/" + clone, conf.resolveSibling("tgt.log")));
      for (Contender contender : contenders) {
        WORKLOADS.getFirst().run(contender.url(), WARM_UP_SECONDS, (long) SIZE_MIB << 20);
      }
      for (Workload workload : WORKLOADS) {
        for (int round = 0; round <= rounds; round++) {
          for (Contender contender : contenders) {
            double rate = workload.run(contender.url(), seconds, (long) SIZE_MIB << 20);
            if (round > 0) {
              report.rbd(workload, contender.name(), workload.inUnit(rate));
            }
            System.err.printf(
                Locale.ROOT,
                "%s, round %d, %s: %.0f/s%n",
                workload.title(),
                round,
                contender.name(),
                rate);
          }
        }
      }
    } finally {
      for (Contender contender : contenders) {
        contender.stop();
      }
    }
  }

  private UUID filledClone() throws IOException {
    UUID image = UUID.randomUUID();
    UUID clone = UUID.randomUUID();
    long size = (long) SIZE_MIB << 20;
    ByteBuffer chunk = ByteBuffer.allocate(4 << 20);
    Random random = new Random(20261125);
    try (VolumeStore store = RbdVolumeStore.open(config(conf))) {
      store.create(image, size);
      try (Volume volume = store.open(image)) {
        for (long offset = 0; offset < size; offset += chunk.capacity()) {
          random.nextBytes(chunk.array());
          volume.write(offset, chunk.clear());
        }
      }
      store.seal(image);
      store.clone(clone, image, size);
    }
    return clone;
  }
}
