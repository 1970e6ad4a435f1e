package io.malleable.bench;

import io.malleable.volume.Volume;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Our target on a clone and on a null device beside tgtd and istgt on a raw file of the same bytes.
 */
@Command(
    name = "target",
    description = "iSCSI target: ours on a clone and on a null device, tgtd, istgt.")
final class TargetBench implements Callable<Integer> {
  private static final int CHUNK_BYTES = 1 << 20;

  @Option(
      names = "--rounds",
      defaultValue = "5",
      description = "measurements of each kind (default ${DEFAULT-VALUE})")
  int rounds;

  @Option(
      names = "--seconds",
      defaultValue = "4",
      description = "length of one read measurement (default ${DEFAULT-VALUE})")
  int seconds;

  @Option(
      names = "--size-mib",
      defaultValue = "512",
      description = "size of the drive (default ${DEFAULT-VALUE})")
  int sizeMib;

  @Option(
      names = "--kinds",
      split = ",",
      paramLabel = "KIND",
      description = "only these of ${COMPLETION-CANDIDATES}, separated by commas")
  Set<Workload.Kind> kinds = EnumSet.allOf(Workload.Kind.class);

  @Option(
      names = "--against",
      paramLabel = "DIR",
      description = "another checkout that was built: its server and this one's beside the others")
  Path against;

  @Option(
      names = "--out",
      description = "directory for the table and the chart; printed only when absent")
  Path out;

  /** What was measured of one contender under one workload. */
  private record Result(Samples rate, Samples cpuMicros) {
    Result() {
      this(new Samples(), new Samples());
    }
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Programs.require("iscsi-perf", "libiscsi-bin");
    Programs.require("qemu-img", "qemu-utils");
    Path directory = Files.createTempDirectory("m2-bench");
    List<Contender> contenders = new ArrayList<>();
    try {
      start(contenders, directory);
      Map<Workload, Map<Contender, Result>> results = measure(contenders);
      TargetReport report = new TargetReport(rounds, seconds, sizeMib);
      results.forEach((workload, byContender) ->
          byContender.forEach((contender, result) ->
              report.add(workload, contender.name(), result.rate(), result.cpuMicros())));
      System.out.print(report.markdown());
      if (out != null) {
        report.write(out);
      }
      return 0;
    } finally {
      for (Contender contender : contenders) {
        contender.stop();
      }
      delete(directory);
    }
  }

  private void start(List<Contender> contenders, Path directory)
      throws IOException, InterruptedException {
    Path store = directory.resolve("store");
    Path tgtFile = directory.resolve("tgt.raw");
    Path istgtFile = directory.resolve("istgt.raw");
    UUID image = UUID.randomUUID();
    UUID clone = fill(store, image, tgtFile, istgtFile);
    contenders.add(
        M2Contender.start(
            "M2, clone",
            directory.resolve("m2.log"),
            "local",
            store.toString(),
            clone.toString(),
            image.toString()));
    contenders.add(
        M2Contender.start(
            "M2, null device",
            directory.resolve("null.log"),
            "null",
            Long.toString((long) sizeMib << 20)));
    if (against != null) {
      contenders.add(
          ServerContender.start(
              TargetReport.SERVER,
              System.getProperty("java.class.path"),
              directory.resolve("server/data"),
              tgtFile));
      contenders.add(
          ServerContender.start(
              TargetReport.OTHER_SERVER,
              ServerContender.classPathOf(against),
              directory.resolve("other-server/data"),
              tgtFile));
    }
    contenders.add(TgtContender.start(tgtFile, directory.resolve("tgt.log")));
    contenders.add(IstgtContender.start(istgtFile, (long) sizeMib << 20, directory));
  }

  /** The same random bytes in an image, of which the result is a clone, and in two files. */
  private UUID fill(Path directory, UUID image, Path... files) throws IOException {
    UUID clone = UUID.randomUUID();
    Random random = new Random(20261122);
    byte[] chunk = new byte[CHUNK_BYTES];
    List<FileChannel> channels = new ArrayList<>();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      for (Path file : files) {
        channels.add(
            FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
      }
      store.create(image, (long) sizeMib << 20);
      try (Volume volume = store.open(image)) {
        for (long offset = 0; offset < volume.sizeBytes(); offset += CHUNK_BYTES) {
          random.nextBytes(chunk);
          volume.write(offset, ByteBuffer.wrap(chunk));
          for (FileChannel channel : channels) {
            writeFully(channel, ByteBuffer.wrap(chunk));
          }
        }
      }
      store.seal(image);
      store.clone(clone, image, (long) sizeMib << 20);
    } finally {
      for (FileChannel channel : channels) {
        channel.close();
      }
    }
    return clone;
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /**
   * Reads come first: a write gives a clone blocks of its own. One unmeasured round warms everybody
   * up, and writes what later rounds overwrite.
   */
  private Map<Workload, Map<Contender, Result>> measure(List<Contender> contenders)
      throws IOException, InterruptedException {
    Map<Workload, Map<Contender, Result>> results = new LinkedHashMap<>();
    List<Workload> workloads =
        Workload.all().stream().filter(w -> kinds.contains(w.kind())).toList();
    for (Workload workload : workloads) {
      Map<Contender, Result> byContender = new LinkedHashMap<>();
      results.put(workload, byContender);
      for (int round = 0; round <= rounds; round++) {
        for (Contender contender : contenders) {
          String url = workload.kind().fresh() ? contender.freshUrl() : contender.url();
          double cpuBefore = Programs.cpuSeconds(contender.pid());
          long startedNanos = System.nanoTime();
          double rate = workload.run(url, seconds, (long) sizeMib << 20);
          double elapsed = (System.nanoTime() - startedNanos) / 1e9;
          double cpu = Programs.cpuSeconds(contender.pid()) - cpuBefore;
          if (round > 0) {
            Result result = byContender.computeIfAbsent(contender, c -> new Result());
            result.rate().add(workload.inUnit(rate));
            double requests = workload.kind().reads() ? rate * elapsed : 0;
            if (requests > 0) {
              result.cpuMicros().add(cpu * 1e6 / requests);
            }
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
    return results;
  }

  static void delete(Path directory) throws IOException {
    try (var paths = Files.walk(directory)) {
      paths
          .sorted(Comparator.reverseOrder())
          .forEach(path -> {
            try {
              Files.delete(path);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    }
  }
}
