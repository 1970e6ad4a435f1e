package io.malleable.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The real server in a process of its own, on free ports, and its REST interface. */
final class ServerProcess implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofMinutes(5);
  private static final String WRITE_CACHE = "writeCache";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path data;
  private final Process process;
  private final HttpClient client = HttpClient.newHttpClient();
  private String api = "";
  private String token = "";

  private ServerProcess(Path data, Process process) {
    this.data = data;
    this.process = process;
  }

  /**
   * Returns when the server says that it is ready.
   *
   * @param data its data directory; its log is written beside it
   */
  static ServerProcess start(Path data) throws IOException, InterruptedException {
    return start(data, System.getProperty("java.class.path"));
  }

  /**
   * The same of another build.
   *
   * @param classPath of that build
   */
  static ServerProcess start(Path data, String classPath) throws IOException, InterruptedException {
    String any = "127.0.0.1:0";
    Process process =
        new ProcessBuilder(
                ProcessHandle.current().info().command().orElse("java"),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                classPath,
                "io.malleable.app.Main",
                "serve",
                "--data",
                data.toString(),
                "--http",
                any,
                "--boot-http",
                any,
                "--iscsi",
                any)
            .redirectErrorStream(true)
            .redirectOutput(log(data).toFile())
            .start();
    ServerProcess server = new ServerProcess(data, process);
    try {
      server.awaitReady();
    } catch (IOException | InterruptedException e) {
      server.close();
      throw e;
    }
    return server;
  }

  private static Path log(Path data) {
    return data.resolveSibling("server.log");
  }

  private void awaitReady() throws IOException, InterruptedException {
    Path run = data.resolve("run.json");
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (System.nanoTime() < deadline && process.isAlive()) {
      if (Files.exists(run)) {
        JsonNode content = JSON.readTree(Files.readString(run));
        if (content.path("pid").asLong() == process.pid()) {
          api = "http://" + content.path("http").asText();
          if (send("GET", "/readyz", "").statusCode() == 200) {
            token = Files.readString(data.resolve("admin-token")).strip();
            return;
          }
        }
      }
      TimeUnit.MILLISECONDS.sleep(2);
    }
    throw new IOException("the server did not become ready:\n" + Files.readString(log(data)));
  }

  long pid() {
    return process.pid();
  }

  /**
   * Exposes a disk, with a write cache where the server lets one choose: how it is reached.
   *
   * @return the field {@code iscsi} of the disk
   */
  JsonNode expose(String disk) throws IOException, InterruptedException {
    boolean chooses = send("GET", "/openapi.yaml", "").body().contains(WRITE_CACHE + ":");
    Map<String, ?> choice = chooses ? Map.of(WRITE_CACHE, true) : Map.of();
    return call("POST", "/v1/disks/" + disk + "/expose", choice).path("iscsi");
  }

  /** What a client waits for: the answer, and the end of the operation when it names one. */
  JsonNode call(String method, String path, Map<String, ?> body)
      throws IOException, InterruptedException {
    HttpResponse<String> response =
        send(method, path, body.isEmpty() ? "" : JSON.writeValueAsString(body));
    if (response.statusCode() / 100 != 2) {
      throw new IOException(
          "%s %s: %d %s".formatted(method, path, response.statusCode(), response.body()));
    }
    JsonNode answer = JSON.readTree(response.body());
    if (response.statusCode() == 202) {
      awaitEnd(answer.path("id").asText());
    }
    return answer;
  }

  private void awaitEnd(String operation) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + LIMIT.toNanos();
    String path = "/v1/operations/" + operation;
    while (System.nanoTime() < deadline) {
      JsonNode now = JSON.readTree(send("GET", path, "").body());
      switch (now.path("state").asText()) {
        case "succeeded" -> {
          return;
        }
        case "failed", "aborted" -> throw new IOException(now.toString());
        default -> TimeUnit.MILLISECONDS.sleep(1);
      }
    }
    throw new IOException("operation " + operation + " did not end within " + LIMIT);
  }

  private HttpResponse<String> send(String method, String path, String body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(api + path))
            .timeout(LIMIT)
            .header("Content-Type", "application/json")
            .method(
                method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
    if (!token.isEmpty()) {
      request.header("Authorization", "Bearer " + token);
    }
    return client.send(request.build(), BodyHandlers.ofString());
  }

  /** Ends it as an operator does, so that it starts again from what is on disk. */
  @Override
  public void close() throws IOException {
    client.close();
    process.destroy();
    try {
      if (!process.waitFor(60, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the server ends", e);
    }
  }
}
