package io.malleable.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;

/**
 * The same calls as a user makes them: at the REST interface of the real server, until its
 * operation has ended. A disk in use is one to which an initiator has logged in.
 */
final class RestCalls {
  private static final String CONTENDER = VolumeBench.REST;
  private static final String IMAGE = "image";

  private final Path directory;
  private final CallTimes times;
  private int names;

  /** Makes the server's data directory, its log and the image that it imports in a directory. */
  RestCalls(Path directory, CallTimes times) {
    this.directory = directory;
    this.times = times;
  }

  void measure() throws IOException, InterruptedException {
    Path raw = directory.resolve("image.raw");
    QcowCalls.raw(raw, CallTimes.GIB);
    try (ServerProcess server = ServerProcess.start(directory.resolve("data"))) {
      server.call(
          "POST",
          "/v1/images",
          Map.of("name", IMAGE, "format", "raw", "source", Map.of("path", raw.toString())));
      for (long size : CallTimes.SIZES) {
        times.rounds(round ->
            bySize(server, size, round.row(CONTENDER, what -> CallTimes.atSize(what, size))));
      }
      for (int depth : CallTimes.DEPTHS) {
        String disk = chain(server, depth);
        times.rounds(round ->
            atDepth(server, disk, round.row(CONTENDER, what -> CallTimes.atDepth(what, depth))));
      }
      for (int perSecond : CallTimes.LOADS) {
        underLoad(server, perSecond);
      }
    }
  }

  private void bySize(ServerProcess server, long size, CallTimes.Row row)
      throws IOException, InterruptedException {
    String disk = name();
    String snapshot = name();
    row.time(
        "clone",
        () ->
            server.call(
                "POST", "/v1/disks", Map.of("name", disk, "image", IMAGE, "sizeBytes", size)));
    try (Initiator initiator = login(server, disk)) {
      initiator.write(0, ByteBuffer.allocate(WriteLoad.WRITE_BYTES));
      row.time("snapshot", () -> snapshot(server, snapshot, disk));
    }
    server.call("POST", "/v1/disks/" + disk + "/withdraw", Map.of());
    row.time("rollback", () -> rollback(server, disk, snapshot));
    row.time("promote", () -> promote(server, snapshot, name()));
  }

  private void atDepth(ServerProcess server, String disk, CallTimes.Row row)
      throws IOException, InterruptedException {
    String snapshot = name();
    String clone = name();
    String image = name();
    row.time("snapshot", () -> snapshot(server, snapshot, disk));
    row.time(
        "clone",
        () -> server.call("POST", "/v1/disks", Map.of("name", clone, "snapshot", snapshot)));
    row.time("rollback", () -> rollback(server, disk, snapshot));
    row.time("promote", () -> promote(server, snapshot, image));
    server.call("DELETE", "/v1/images/" + image, Map.of());
    server.call("DELETE", "/v1/disks/" + clone + "?purge=true", Map.of());
    server.call("DELETE", "/v1/snapshots/" + snapshot, Map.of());
  }

  /** As {@link StoreCalls} makes it, by an initiator and snapshots. */
  private String chain(ServerProcess server, int depth) throws IOException, InterruptedException {
    String disk = name();
    server.call("POST", "/v1/disks", Map.of("name", disk, "image", IMAGE));
    try (Initiator initiator = login(server, disk)) {
      for (int layer = 1; layer < depth; layer++) {
        initiator.write(
            (long) layer * WriteLoad.WRITE_BYTES, ByteBuffer.allocate(WriteLoad.WRITE_BYTES));
        snapshot(server, name(), disk);
      }
    }
    server.call("POST", "/v1/disks/" + disk + "/withdraw", Map.of());
    return disk;
  }

  private void underLoad(ServerProcess server, int perSecond)
      throws IOException, InterruptedException {
    String disk = name();
    server.call("POST", "/v1/disks", Map.of("name", disk, "image", IMAGE));
    try (Initiator initiator = login(server, disk);
        WriteLoad load = WriteLoad.start(initiator::write, CallTimes.DATA_BYTES, perSecond)) {
      times.rounds(round ->
          round.underLoad(CONTENDER, perSecond, load, () -> snapshot(server, name(), disk)));
    }
  }

  private static void snapshot(ServerProcess server, String snapshot, String disk)
      throws IOException, InterruptedException {
    server.call("POST", "/v1/snapshots", Map.of("name", snapshot, "disk", disk));
  }

  private static void rollback(ServerProcess server, String disk, String snapshot)
      throws IOException, InterruptedException {
    server.call("POST", "/v1/disks/" + disk + "/rollback", Map.of("snapshot", snapshot));
  }

  private static void promote(ServerProcess server, String snapshot, String image)
      throws IOException, InterruptedException {
    server.call("POST", "/v1/snapshots/" + snapshot + "/promote", Map.of("name", image));
  }

  /** Exposes the disk and logs in. */
  private Initiator login(ServerProcess server, String disk)
      throws IOException, InterruptedException {
    return Initiator.login(server.expose(disk), names);
  }

  private String name() {
    names++;
    return "bench-" + names;
  }
}
