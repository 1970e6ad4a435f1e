package io.malleable.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** The results of {@link VolumeBench} as tables and a chart. */
final class VolumeReport {
  private static final List<String> CONTENDERS =
      List.of(VolumeBench.LOCAL, VolumeBench.RBD, VolumeBench.QCOW2);

  /** By what is called and on what, then by contender; milliseconds. */
  private final Map<String, Map<String, Samples>> calls = new LinkedHashMap<>();

  /** By size in MiB, then by depth. */
  private final Map<Integer, Map<String, Reads>> reads = new TreeMap<>();

  private final Map<Workload, Map<String, Samples>> rbd = new LinkedHashMap<>();
  private final Samples starts = new Samples();

  private record Reads(Samples perSecond, Samples cpuNanos) {}

  void call(String what, long sizeBytes, int depth, String contender, double millis) {
    String key = what + (sizeBytes > 0 ? ", " + (sizeBytes >> 30) + " GiB" : " " + depth);
    calls
        .computeIfAbsent(key, k -> new LinkedHashMap<>())
        .computeIfAbsent(contender, c -> new Samples())
        .add(millis);
  }

  void reads(int sizeMib, String depth, double perSecond, double cpuNanos) {
    Reads samples =
        reads
            .computeIfAbsent(sizeMib, m -> new LinkedHashMap<>())
            .computeIfAbsent(depth, d -> new Reads(new Samples(), new Samples()));
    samples.perSecond.add(perSecond);
    samples.cpuNanos.add(cpuNanos);
  }

  void rbd(Workload workload, String contender, double rate) {
    rbd.computeIfAbsent(workload, w -> new LinkedHashMap<>())
        .computeIfAbsent(contender, c -> new Samples())
        .add(rate);
  }

  void start(double millis) {
    starts.add(millis);
  }

  String markdown(int rounds) throws IOException {
    StringBuilder text = new StringBuilder("# Volumes\n\n");
    text.append(
        String.format(
            Locale.ROOT,
            "Milliseconds, medians (smallest to largest) of %d rounds after one unmeasured round. The drives are sparse, with 64 MiB of"
                + " data; RBD is a one-node cluster in memory on the same machine; `qemu-img` times include starting the"
                + " program, and its snapshots are internal and of an image not in use.\n\n%s\n\n",
            rounds,
            Machine.describe()));
    text.append("| call | ")
        .append(String.join(" | ", CONTENDERS))
        .append(" |\n|---|---|---|---|\n");
    calls.forEach((key, byContender) -> {
      text.append("| ").append(key);
      for (String contender : CONTENDERS) {
        Samples samples = byContender.get(contender);
        text.append(" | ").append(samples == null ? "" : format(samples, 2));
      }
      text.append(" |\n");
    });
    text.append(
        "\nWanted: clone, snapshot, rollback, promote under 10 ms each, whatever the size and depth.\n");
    readsTo(text);
    rbdTo(text);
    text.append(
        String.format(
            Locale.ROOT,
            "%n## Start%n%nThe server's process to readiness with %d disks, %d of them exposed, in milliseconds: %s (wanted: under"
                + " 2,000).%n",
            ServerStart.counts().get(0),
            ServerStart.counts().get(1),
            format(starts, 0)));
    return text.toString();
  }

  private void readsTo(StringBuilder text) {
    text.append(
        "\n## Reads of deep chains\n\nRandom 4k reads of an open disk by one thread, all in the page cache; its blocks are"
            + " spread evenly over all layers above the image, which is the worst there is. Wanted: at depth 64 at least"
            + " 0.9 of depth 1.\n\n"
            + "| size | chain depth | reads/s | ratio | CPU ns per read | ratio |\n|---|---|---|---|---|---|\n");
    reads.forEach((mib, byDepth) -> {
      Reads first = byDepth.values().iterator().next();
      byDepth.forEach((depth, samples) ->
          text.append(
              String.format(
                  Locale.ROOT,
                  "| %d MiB | %s | %s | %.2f | %s | %.2f |%n",
                  mib,
                  depth,
                  format(samples.perSecond, 0),
                  samples.perSecond.median() / first.perSecond.median(),
                  format(samples.cpuNanos, 0),
                  first.cpuNanos.median() / samples.cpuNanos.median())));
    });
  }

  private void rbdTo(StringBuilder text) {
    if (rbd.isEmpty()) {
      return;
    }
    text.append(
        String.format(
            Locale.ROOT,
            "%n## RBD over iSCSI%n%nThe same clone of an image of %d MiB by both targets at once, interleaved; reads by"
                + " `iscsi-perf`.%n%n| workload | %s | %s | ratio | wanted |%n|---|---|---|---|---|%n",
            RbdReads.SIZE_MIB,
            RbdReads.OURS,
            RbdReads.TGT));
    rbd.forEach((workload, byContender) -> {
      Samples ours = byContender.getOrDefault(RbdReads.OURS, new Samples());
      Samples theirs = byContender.getOrDefault(RbdReads.TGT, new Samples());
      text.append(
          String.format(
              Locale.ROOT,
              "| %s, %s | %s | %s | **%.2f** | %s |%n",
              workload.title(),
              workload.unit(),
              format(ours, 0),
              format(theirs, 0),
              ours.median() / theirs.median(),
              workload.required() > 0 ? Double.toString(workload.required()) : ""));
    });
  }

  private static String format(Samples samples, int decimals) {
    return TargetReport.format(samples, decimals);
  }

  void write(Path directory, int rounds) throws IOException {
    Files.createDirectories(directory);
    List<BarChart.Group> groups = new ArrayList<>();
    calls.forEach((key, byContender) -> {
      List<BarChart.Bar> bars = new ArrayList<>();
      byContender.forEach((name, samples) ->
          bars.add(
              new BarChart.Bar(
                  CONTENDERS.indexOf(name),
                  samples.median(),
                  samples.min(),
                  samples.max(),
                  String.format(Locale.ROOT, "%.2f ms", samples.median()))));
      groups.add(new BarChart.Group(key, bars));
    });
    Files.writeString(
        directory.resolve("volumes.svg"),
        BarChart.draw("Volumes: milliseconds per call (shorter is better)", CONTENDERS, groups));
    if (!rbd.isEmpty()) {
      Files.writeString(directory.resolve("rbd.svg"), rbdChart());
    }
    Files.writeString(
        directory.resolve("volumes.md"),
        markdown(rounds)
            + "\n![calls](volumes.svg)\n"
            + (rbd.isEmpty() ? "" : "\n![RBD over iSCSI](rbd.svg)\n"));
  }

  private String rbdChart() {
    List<String> contenders = List.of(RbdReads.OURS, RbdReads.TGT);
    return BarChart.draw(
        "One RBD clone over iSCSI (longer is better)",
        contenders,
        TargetReport.groups(rbd, contenders));
  }
}
