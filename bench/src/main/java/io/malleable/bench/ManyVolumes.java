package io.malleable.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;

/** What grows with the number of disks, and with that of the snapshots of one disk. */
final class ManyVolumes {
  static final int DISKS = 10_000;
  static final int SNAPSHOTS = 1_000;

  /** The most that the API gives at once. */
  private static final int PAGE = 1_000;

  private static final String IMAGE = "image";
  private static final String OLD = "old";

  private final Path directory;
  private final Path data;
  private final int rounds;

  /** Makes the server's data directory, its log and the image that it imports in a directory. */
  ManyVolumes(Path directory, int rounds) {
    this.directory = directory;
    this.data = directory.resolve("data");
    this.rounds = rounds;
  }

  void measure(VolumeReport report) throws IOException, InterruptedException {
    try (ServerProcess server = ServerProcess.start(data)) {
      fill(server);
    }
    for (int round = 0; round < rounds; round++) {
      measureStore(report);
      long started = System.nanoTime();
      try (ServerProcess server = ServerProcess.start(data)) {
        report.many("the server starts", millisSince(started));
        measureLists(report, server);
      }
    }
  }

  private void measureStore(VolumeReport report) throws IOException {
    long started = System.nanoTime();
    try (LocalVolumeStore store = LocalVolumeStore.open(data.resolve("volumes"))) {
      report.many("the store opens", millisSince(started));
      long listed = System.nanoTime();
      int found = store.list().size();
      report.many("the store lists all volumes", millisSince(listed));
      if (found < DISKS + SNAPSHOTS) {
        throw new IOException("the store lists " + found + " volumes only");
      }
    }
  }

  private static void measureLists(VolumeReport report, ServerProcess server)
      throws IOException, InterruptedException {
    long started = System.nanoTime();
    server.call("GET", "/v1/disks", Map.of());
    report.many("GET /v1/disks, the first 100", millisSince(started));
    started = System.nanoTime();
    int disks = pages(server, "/v1/disks?limit=" + PAGE);
    report.many("GET /v1/disks, all in pages of 1,000", millisSince(started));
    started = System.nanoTime();
    int snapshots = pages(server, "/v1/snapshots?disk=" + OLD + "&limit=" + PAGE);
    report.many("GET /v1/snapshots of one disk that has 1,000", millisSince(started));
    if (disks != DISKS || snapshots != SNAPSHOTS) {
      throw new IOException("listed %d disks and %d snapshots".formatted(disks, snapshots));
    }
  }

  /** How many items all pages have. */
  private static int pages(ServerProcess server, String path)
      throws IOException, InterruptedException {
    int items = 0;
    String cursor = "";
    do {
      JsonNode page = server.call("GET", path + cursor, Map.of());
      items += page.path("items").size();
      cursor = page.hasNonNull("next") ? "&cursor=" + page.path("next").asText() : "";
    } while (!cursor.isEmpty());
    return items;
  }

  private static double millisSince(long startedNanos) {
    return (System.nanoTime() - startedNanos) / 1e6;
  }

  private void fill(ServerProcess server) throws IOException, InterruptedException {
    Path raw = directory.resolve("image.raw");
    QcowCalls.raw(raw, CallTimes.GIB);
    Map<String, String> source = Map.of("path", raw.toString());
    server.call("POST", "/v1/images", Map.of("name", IMAGE, "format", "raw", "source", source));
    server.call("POST", "/v1/disks", Map.of("name", OLD, "image", IMAGE));
    try (Initiator initiator = Initiator.login(server.expose(OLD), 1)) {
      for (int i = 0; i < SNAPSHOTS; i++) {
        initiator.write(
            (long) i * WriteLoad.WRITE_BYTES, ByteBuffer.allocate(WriteLoad.WRITE_BYTES));
        server.call("POST", "/v1/snapshots", Map.of("name", "snapshot-" + i, "disk", OLD));
      }
    }
    for (int i = 1; i < DISKS; i++) {
      server.call("POST", "/v1/disks", Map.of("name", "disk-" + i, "image", IMAGE));
    }
  }
}
