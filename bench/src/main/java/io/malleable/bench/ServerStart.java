package io.malleable.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** From starting the server's process to its readiness, with many disks in its store. */
final class ServerStart {
  static final int DISKS = 1000;
  private static final int EXPOSED = 100;
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final Path data;
  private final int rounds;
  private final HttpClient client = HttpClient.newHttpClient();
  private final ObjectMapper mapper = new ObjectMapper();

  ServerStart(Path data, int rounds) {
    this.data = data;
    this.rounds = rounds;
  }

  void measure(VolumeReport report) throws IOException, InterruptedException {
    Process first = start();
    try {
      String api = awaitReady(first);
      fill(api);
    } finally {
      stop(first);
    }
    for (int round = 0; round < rounds; round++) {
      long started = System.nanoTime();
      Process again = start();
      try {
        awaitReady(again);
        report.start((System.nanoTime() - started) / 1e6);
      } finally {
        stop(again);
      }
    }
  }

  private Process start() throws IOException {
    String any = "127.0.0.1:0";
    return new ProcessBuilder(
            ProcessHandle.current().info().command().orElse("java"),
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("java.class.path"),
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
        .redirectOutput(data.resolveSibling("server.log").toFile())
        .start();
  }

  private static void stop(Process server) throws InterruptedException {
    server.destroy();
    if (!server.waitFor(30, TimeUnit.SECONDS)) {
      server.destroyForcibly().waitFor();
    }
  }

  /** The address of the interface, once it says that it is ready. */
  private String awaitReady(Process server) throws IOException, InterruptedException {
    Path run = data.resolve("run.json");
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (System.nanoTime() < deadline && server.isAlive()) {
      if (Files.exists(run)) {
        JsonNode content = mapper.readTree(Files.readString(run));
        if (content.path("pid").asLong() == server.pid()) {
          String api = "http://" + content.path("http").asText();
          if (request(api, "GET", "/readyz", "").statusCode() == 200) {
            return api;
          }
        }
      }
      TimeUnit.MILLISECONDS.sleep(2);
    }
    throw new IOException(
        "the server did not become ready:\n" + Files.readString(data.resolveSibling("server.log")));
  }

  private void fill(String api) throws IOException, InterruptedException {
    Path raw = data.resolveSibling("image.raw");
    try (RandomAccessFile file = new RandomAccessFile(raw.toFile(), "rw")) {
      file.setLength(1L << 30);
      file.write(new byte[1 << 20]);
    }
    expect(
        request(
            api,
            "POST",
            "/v1/images",
            "{\"name\":\"image\",\"format\":\"raw\",\"source\":{\"path\":\"" + raw + "\"}}"));
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (!mapper
        .readTree(expect(request(api, "GET", "/v1/images/image", "")))
        .path("state")
        .asText()
        .equals("ready")) {
      if (System.nanoTime() > deadline) {
        throw new IOException("the image was not imported within " + LIMIT);
      }
      TimeUnit.MILLISECONDS.sleep(20);
    }
    for (int i = 0; i < DISKS; i++) {
      expect(
          request(api, "POST", "/v1/disks", "{\"name\":\"disk-" + i + "\",\"image\":\"image\"}"));
    }
    for (int i = 0; i < EXPOSED; i++) {
      expect(request(api, "POST", "/v1/disks/disk-" + i + "/expose", "{}"));
    }
  }

  private static String expect(HttpResponse<String> response) throws IOException {
    if (response.statusCode() / 100 != 2) {
      throw new IOException(response.uri() + ": " + response.statusCode() + " " + response.body());
    }
    return response.body();
  }

  private HttpResponse<String> request(String api, String method, String path, String body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(api + path))
            .timeout(LIMIT)
            .header("Content-Type", "application/json")
            .method(
                method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
    if (path.startsWith("/v1")) {
      request.header(
          "Authorization", "Bearer " + Files.readString(data.resolve("admin-token")).strip());
    }
    return client.send(request.build(), BodyHandlers.ofString());
  }

  static List<Integer> counts() {
    return List.of(DISKS, EXPOSED);
  }
}
