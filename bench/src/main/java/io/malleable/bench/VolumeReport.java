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

  private final Map<Integer, Samples> readsByDepth = new TreeMap<>();

  void call(String what, long sizeBytes, int depth, String contender, double millis) {
    String key = what + (sizeBytes > 0 ? ", " + (sizeBytes >> 30) + " GiB" : " " + depth);
    calls
        .computeIfAbsent(key, k -> new LinkedHashMap<>())
        .computeIfAbsent(contender, c -> new Samples())
        .add(millis);
  }

  void reads(int depth, double perSecond) {
    readsByDepth.computeIfAbsent(depth, d -> new Samples()).add(perSecond);
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
        "\nRandom 4k reads of an open disk by one thread, per second, and against depth 1:\n\n");
    text.append("| chain depth | reads/s | ratio |\n|---|---|---|\n");
    double first =
        readsByDepth.values().stream().findFirst().map(Samples::median).orElse(Double.NaN);
    readsByDepth.forEach((depth, samples) ->
        text.append(
            String.format(
                Locale.ROOT,
                "| %d | %s | %.2f |%n",
                depth,
                format(samples, 0),
                samples.median() / first)));
    return text.toString();
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
    Files.writeString(
        directory.resolve("volumes.md"), markdown(rounds) + "\n![chart](volumes.svg)\n");
  }
}
