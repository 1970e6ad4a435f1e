package io.malleable.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/** From starting the server's process to its readiness, with many disks in its store. */
final class ServerStart {
  static final int DISKS = 1000;

  /** How many of the disks have a target. */
  private static final int[] EXPOSED = {100, DISKS};

  private final Path directory;
  private final Path data;
  private final int rounds;

  /** Makes the server's data directory, its log and the image that it imports in a directory. */
  ServerStart(Path directory, int rounds) {
    this.directory = directory;
    this.data = directory.resolve("data");
    this.rounds = rounds;
  }

  void measure(VolumeReport report) throws IOException, InterruptedException {
    int exposed = 0;
    for (int wanted : EXPOSED) {
      try (ServerProcess server = ServerProcess.start(data)) {
        if (exposed == 0) {
          fill(server);
        }
        for (; exposed < wanted; exposed++) {
          server.expose("disk-" + exposed);
        }
      }
      for (int round = 0; round < rounds; round++) {
        long started = System.nanoTime();
        try (ServerProcess _ = ServerProcess.start(data)) {
          report.start(wanted, (System.nanoTime() - started) / 1e6);
        }
      }
    }
  }

  private void fill(ServerProcess server) throws IOException, InterruptedException {
    Path raw = directory.resolve("image.raw");
    QcowCalls.raw(raw, CallTimes.GIB);
    server.call(
        "POST",
        "/v1/images",
        Map.of("name", "image", "format", "raw", "source", Map.of("path", raw.toString())));
    for (int i = 0; i < DISKS; i++) {
      server.call("POST", "/v1/disks", Map.of("name", "disk-" + i, "image", "image"));
    }
  }
}
