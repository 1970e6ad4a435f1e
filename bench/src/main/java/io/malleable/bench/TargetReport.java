package io.malleable.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/** The results of {@link TargetBench} as a table and a chart. */
final class TargetReport {
  /** The whole server of this build and of another one. */
  static final String SERVER = "M2, server";

  static final String OTHER_SERVER = "M2, other server";

  private static final String OURS = "M2, clone";
  private static final String NULL_DEVICE = "M2, null device";
  private static final String REFERENCE = "tgtd, raw file";

  private final int rounds;
  private final int seconds;
  private final int sizeMib;
  private final Map<Workload, Map<String, Samples>> rates = new LinkedHashMap<>();
  private final Map<Workload, Map<String, Samples>> cpuMicros = new LinkedHashMap<>();

  TargetReport(int rounds, int seconds, int sizeMib) {
    this.rounds = rounds;
    this.seconds = seconds;
    this.sizeMib = sizeMib;
  }

  void add(Workload workload, String contender, Samples rate, Samples cpu) {
    rates.computeIfAbsent(workload, w -> new LinkedHashMap<>()).put(contender, rate);
    cpuMicros.computeIfAbsent(workload, w -> new LinkedHashMap<>()).put(contender, cpu);
  }

  String markdown() throws IOException {
    StringBuilder text = new StringBuilder("# iSCSI target\n\n");
    text.append(
        String.format(
            Locale.ROOT,
            "Medians (smallest to largest) of %d rounds of %d s, interleaved in one run, after one unmeasured round; a drive of"
                + " %d MiB of random bytes, loopback, initiator and target on the same machine.\n"
                + "Reads by `iscsi-perf`, writes by `qemu-img bench -w`. Only ratios within one run mean anything.\n"
                + "First writes, and writes with a flush after each, go to a new clone in each round; the raw files and the null device have none.\n\n%s\n\n",
            rounds,
            seconds,
            sizeMib,
            Machine.describe()));
    List<String> contenders = List.copyOf(rates.values().iterator().next().keySet());
    text.append("| workload | ")
        .append(String.join(" | ", contenders))
        .append(" | M2 clone / tgtd | wanted | clone / null |")
        .append(contenders.contains(SERVER) ? " server / other server |\n" : "\n");
    int ratios = contenders.contains(SERVER) ? 4 : 3;
    text.append("|---|").append("---|".repeat(contenders.size() + ratios)).append('\n');
    rates.forEach((workload, byContender) -> {
      text.append("| ").append(workload.title()).append(", ").append(workload.unit());
      byContender.values().forEach(samples -> text.append(" | ").append(format(samples, 0)));
      double ours = median(byContender, OURS);
      text.append(
          String.format(
              Locale.ROOT,
              " | **%.2f** | %s | %.2f |",
              ours / median(byContender, REFERENCE),
              workload.required() > 0 ? Double.toString(workload.required()) : "",
              ours / median(byContender, NULL_DEVICE)));
      if (byContender.containsKey(SERVER)) {
        double other = median(byContender, OTHER_SERVER);
        text.append(String.format(Locale.ROOT, " %.2f |", median(byContender, SERVER) / other));
      }
      text.append('\n');
    });
    text.append("\nCPU time of the target's process per read, in microseconds:\n\n| workload | ");
    text.append(String.join(" | ", contenders)).append(" | M2 clone / tgtd |\n|---|");
    text.append("---|".repeat(contenders.size() + 1)).append('\n');
    cpuMicros.forEach((workload, byContender) -> {
      if (workload.kind().reads()) {
        text.append("| ").append(workload.title());
        byContender.values().forEach(samples -> text.append(" | ").append(format(samples, 1)));
        text.append(
            String.format(
                Locale.ROOT,
                " | **%.2f** |%n",
                median(byContender, OURS) / median(byContender, REFERENCE)));
      }
    });
    return text.toString();
  }

  private static double median(Map<String, Samples> byContender, String name) {
    return Objects.requireNonNull(byContender.get(name), name).median();
  }

  static String format(Samples samples, int decimals) {
    return String.format(
        Locale.ROOT,
        "%,." + decimals + "f (%,." + decimals + "f-%,." + decimals + "f)",
        samples.median(),
        samples.min(),
        samples.max());
  }

  void write(Path directory) throws IOException {
    Files.createDirectories(directory);
    List<String> contenders = List.copyOf(rates.values().iterator().next().keySet());
    Files.writeString(
        directory.resolve("target.svg"),
        BarChart.draw(
            "iSCSI targets, median of interleaved rounds (line: smallest to largest)",
            contenders,
            groups(rates, contenders)));
    Files.writeString(directory.resolve("target.md"), markdown() + "\n![chart](target.svg)\n");
  }

  /** A group of bars for each workload, one for each contender. */
  static List<BarChart.Group> groups(
      Map<Workload, Map<String, Samples>> measured, List<String> contenders) {
    List<BarChart.Group> groups = new ArrayList<>();
    measured.forEach((workload, byContender) -> {
      List<BarChart.Bar> bars = new ArrayList<>();
      byContender.forEach((name, samples) ->
          bars.add(
              new BarChart.Bar(
                  contenders.indexOf(name),
                  samples.median(),
                  samples.min(),
                  samples.max(),
                  String.format(Locale.ROOT, "%,.0f %s", samples.median(), workload.unit()))));
      groups.add(new BarChart.Group(workload.title(), bars));
    });
    return groups;
  }
}
