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
      List.of(VolumeBench.LOCAL, VolumeBench.REST, VolumeBench.RBD, VolumeBench.QCOW2);

  private static final String CALLS =
      String.format(
          Locale.ROOT,
          """
          The drives are sparse, with %d MiB of random data in the image, which is the base of all. A depth counts the layers \
          above the image, each with 4 KiB of its own; where a size is named with it, the layers above the image hold that much together. `promote` makes a golden image of a snapshot.

          What is compared is the same call, but not done in the same way:

          - M2's stores are called in their own process; a snapshot by size is one of a disk in use with one write of 4 KiB not \
          yet flushed, one by depth of a disk that nobody has open. RBD is a one-node cluster in memory on the same machine.
          - By REST: a client of the real server, over loopback, until the operation has ended. Disks of all sizes are clones of \
          one image of 1 GiB; one in use is exposed, an initiator has logged in and has written.
          - `qemu-img`: a clone is a new overlay; a snapshot is an internal one of an overlay that nobody has open (offline), \
          rollback applies it. Times include starting the program. It has no call that makes an image of a snapshot without \
          copying.

          """,
          CallTimes.DATA_BYTES >> 20);

  /** By what is called and on what, then by contender; milliseconds. */
  private final Map<String, Map<String, Samples>> calls = new LinkedHashMap<>();

  /** By what is written meanwhile, then by contender. */
  private final Map<String, Map<String, Load>> loads = new LinkedHashMap<>();

  /** By size and whether it is packed, then by depth. */
  private final Map<String, Map<Integer, Reads>> reads = new LinkedHashMap<>();

  private final Map<Workload, Map<String, Samples>> rbd = new LinkedHashMap<>();

  /** By how many disks are exposed; milliseconds. */
  private final Map<Integer, Samples> starts = new TreeMap<>();

  /** By what is done with many disks and snapshots; milliseconds. */
  private final Map<String, Samples> many = new LinkedHashMap<>();

  private record Reads(Samples perSecond, Samples cpuNanos) {}

  private record Load(Samples perSecond, Samples snapshotMillis, Samples longestMillis) {}

  void call(String row, String contender, double millis) {
    calls
        .computeIfAbsent(row, r -> new LinkedHashMap<>())
        .computeIfAbsent(contender, c -> new Samples())
        .add(millis);
  }

  /**
   * A snapshot of a disk that is written to.
   *
   * @param reached writes per second until then
   * @param longestMillis that a write took meanwhile
   */
  void load(
      String contender,
      String writes,
      double reached,
      double snapshotMillis,
      double longestMillis) {
    Load load =
        loads
            .computeIfAbsent(writes, w -> new LinkedHashMap<>())
            .computeIfAbsent(contender, c -> new Load(new Samples(), new Samples(), new Samples()));
    load.perSecond.add(reached);
    load.snapshotMillis.add(snapshotMillis);
    load.longestMillis.add(longestMillis);
  }

  void reads(int sizeMib, String state, int depth, double perSecond, double cpuNanos) {
    Reads samples =
        reads
            .computeIfAbsent(
                String.format(Locale.ROOT, "%,d MiB | %s", sizeMib, state), m -> new TreeMap<>())
            .computeIfAbsent(depth, d -> new Reads(new Samples(), new Samples()));
    samples.perSecond.add(perSecond);
    samples.cpuNanos.add(cpuNanos);
  }

  void rbd(Workload workload, String contender, double rate) {
    rbd.computeIfAbsent(workload, w -> new LinkedHashMap<>())
        .computeIfAbsent(contender, c -> new Samples())
        .add(rate);
  }

  void start(int exposed, double millis) {
    starts.computeIfAbsent(exposed, e -> new Samples()).add(millis);
  }

  void many(String row, double millis) {
    many.computeIfAbsent(row, r -> new Samples()).add(millis);
  }

  String markdown(int rounds) throws IOException {
    StringBuilder text = new StringBuilder("# Volumes\n\n");
    text.append(
        String.format(
            Locale.ROOT,
            "Milliseconds, medians (smallest to largest) of %d rounds after one unmeasured round.%n%n%s%n%n",
            rounds,
            Machine.describe()));
    callsTo(text);
    loadsTo(text);
    readsTo(text);
    rbdTo(text);
    startsTo(text);
    manyTo(text);
    return text.toString();
  }

  private void callsTo(StringBuilder text) {
    if (calls.isEmpty()) {
      return;
    }
    text.append(CALLS)
        .append("| call | ")
        .append(String.join(" | ", CONTENDERS))
        .append(" |\n|---|")
        .append("---|".repeat(CONTENDERS.size()))
        .append('\n');
    calls.forEach((row, byContender) -> {
      text.append("| ").append(row);
      for (String contender : CONTENDERS) {
        Samples samples = byContender.get(contender);
        text.append(" | ").append(samples == null ? "" : format(samples, 2));
      }
      text.append(" |\n");
    });
    text.append(
        "\nWanted: clone, snapshot, rollback, promote under 10 ms each, whatever the size and depth.\n");
  }

  private void loadsTo(StringBuilder text) {
    if (loads.isEmpty()) {
      return;
    }
    text.append(
        String.format(
            Locale.ROOT,
            "%n## Snapshots of a disk that is being written to%n%nA thread writes 4 KiB at random places of %d MiB, one"
                + " write after the other, none of them flushed, from 0.3 s before each snapshot on and while it is taken: a"
                + " snapshot makes what it finds durable. RBD keeps no data of its own back: its writes wait for the cluster."
                + " Wanted: a snapshot under 10 ms.%n%n"
                + "| writes | contender | writes/s before it | snapshot, ms | longest write meanwhile, ms |%n|---|---|---|---|---|%n",
            CallTimes.DATA_BYTES >> 20));
    loads.forEach((writes, byContender) ->
        byContender.forEach((contender, load) ->
            text.append(
                String.format(
                    Locale.ROOT,
                    "| %s | %s | %s | %s | %s |%n",
                    writes,
                    contender,
                    format(load.perSecond, 0),
                    format(load.snapshotMillis, 2),
                    format(load.longestMillis, 2)))));
  }

  private void startsTo(StringBuilder text) {
    if (starts.isEmpty()) {
      return;
    }
    text.append(
        String.format(
            Locale.ROOT,
            "%n## Start%n%nThe server's process to readiness with %,d disks, some or all of them exposed, in milliseconds"
                + " (wanted: under 2,000):%n%n| exposed | ms |%n|---|---|%n",
            ServerStart.DISKS));
    starts.forEach((exposed, samples) ->
        text.append(String.format(Locale.ROOT, "| %,d | %s |%n", exposed, format(samples, 0))));
  }

  private void manyTo(StringBuilder text) {
    if (many.isEmpty()) {
      return;
    }
    text.append(
        String.format(
            Locale.ROOT,
            "%n## Many disks%n%nWith %,d disks, one of which has %,d snapshots with 4 KiB each, in milliseconds (wanted: start"
                + " under 10,000, lists under 1,000):%n%n| what | ms |%n|---|---|%n",
            ManyVolumes.DISKS,
            ManyVolumes.SNAPSHOTS));
    many.forEach((row, samples) ->
        text.append(String.format(Locale.ROOT, "| %s | %s |%n", row, format(samples, 0))));
  }

  private void readsTo(StringBuilder text) {
    if (reads.isEmpty()) {
      return;
    }
    text.append(
        "\n## Reads of deep chains\n\nRandom 4k reads of an open disk by one thread, all in the page cache; its blocks are"
            + " spread evenly over all layers above the image, which is the worst there is. A chain is packed in the background"
            + " in the seconds after a snapshot; both states are measured one after the other, each against depth 1 at the same"
            + " time. Wanted: at depth 64 at least 0.9 of depth 1.\n\n"
            + "| above the image | state | chain depth | reads/s | ratio | CPU ns per read | ratio |\n|---|---|---|---|---|---|---|\n");
    reads.forEach((sizeAndState, byDepth) -> {
      Reads first = byDepth.values().iterator().next();
      byDepth.forEach((depth, samples) ->
          text.append(
              String.format(
                  Locale.ROOT,
                  "| %s | %d | %s | %.2f | %s | %.2f |%n",
                  sizeAndState,
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
    calls.forEach((row, byContender) -> {
      List<BarChart.Bar> bars = new ArrayList<>();
      byContender.forEach((name, samples) ->
          bars.add(
              new BarChart.Bar(
                  CONTENDERS.indexOf(name),
                  samples.median(),
                  samples.min(),
                  samples.max(),
                  String.format(Locale.ROOT, "%.2f ms", samples.median()))));
      groups.add(new BarChart.Group(row, bars));
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
