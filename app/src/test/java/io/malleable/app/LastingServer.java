package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A real server process that dies and starts again on the same ports and the same data. */
final class LastingServer implements AutoCloseable {
  private final Path data;
  private final List<String> flags;
  private ServeProcess process;
  private TestApi api;

  private LastingServer(Path data, List<String> flags, ServeProcess process) throws Exception {
    this.data = data;
    this.flags = flags;
    this.process = process;
    this.api = process.api();
  }

  /** Starts it the first time. */
  static LastingServer start(Path data, String... more) throws Exception {
    ServeProcess process = ServeProcess.start(data, Map.of(), more);
    JsonNode run = process.run();
    List<String> flags = new ArrayList<>(List.of(more));
    flags.addAll(List.of("--http", run.path("http").asText()));
    flags.addAll(List.of("--iscsi", run.path("iscsi").asText()));
    try {
      return new LastingServer(data, flags, process);
    } catch (IOException | InterruptedException e) {
      process.close();
      throw e;
    }
  }

  TestApi api() {
    return api;
  }

  /** Kills it; it is gone when this returns. */
  void kill() throws InterruptedException {
    process.kill();
  }

  /** Stops it as an operator does; its exit status. */
  int stop() throws InterruptedException {
    return process.stop();
  }

  /** Starts it again, after its end. */
  void startAgain() throws IOException, InterruptedException {
    api.close();
    process = ServeProcess.start(data, Map.of(), flags.toArray(String[]::new));
    api = process.api();
  }

  /** The end of what it said. */
  String logTail() {
    String log = process.log();
    return log.substring(Math.max(0, log.length() - 4000));
  }

  /** Imports an image. */
  void importImage(String name, Path file, byte[] content)
      throws IOException, InterruptedException {
    Files.write(file, content);
    String source = "'source':{'path':'" + file + "'}";
    api.succeeded(api.post("/v1/images", "{'name':'" + name + "','format':'raw'," + source + "}"));
  }

  /**
   * Exposes a disk whose target may answer writes before they are on the medium; how it is reached.
   */
  JsonNode expose(String disk) throws IOException, InterruptedException {
    String body = "{'writeCache':true}";
    return api.post("/v1/disks/" + disk + "/expose", body).expect(200).body().path("iscsi");
  }

  /** How an exposed disk is reached. */
  JsonNode iscsi(String disk) throws IOException, InterruptedException {
    return api.get("/v1/disks/" + disk).expect(200).body().path("iscsi");
  }

  @Override
  public void close() {
    api.close();
    process.close();
  }
}
