package io.malleable.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a reader must know of the machine to judge a figure. */
final class Machine {
  private Machine() {}

  static String describe() throws IOException {
    String model =
        Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst()
            .orElse("unknown processor");
    long memoryKib =
        Files.readAllLines(Path.of("/proc/meminfo")).stream()
            .filter(line -> line.startsWith("MemTotal:"))
            .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
            .findFirst()
            .orElse(0);
    return "Machine: %d cores of %s, %d GiB memory, Linux %s, Java %s."
        .formatted(
            Runtime.getRuntime().availableProcessors(),
            model,
            memoryKib >> 20,
            System.getProperty("os.version").replaceAll("-.*", ""),
            System.getProperty("java.version"));
  }
}
