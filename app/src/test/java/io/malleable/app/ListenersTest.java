package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server process that runs out of descriptors, and one whose listeners are flooded. */
final class ListenersTest {
  private static final Duration LIMIT = Duration.ofMinutes(2);
  private static final int SECTOR = 7;

  @TempDir private Path directory;
  private final HttpClient client = HttpClient.newHttpClient();
  private final List<Socket> flood = new ArrayList<>();
  private ServeProcess server;
  private TestApi api;
  private OpenDisk disk;

  @BeforeEach
  void start() throws Exception {
    server = ServeProcess.startWithin("1024:1024", directory.resolve("data"), Map.of());
    api = server.api();
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    api.succeeded(
        api.post("/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
    api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
    JsonNode iscsi = api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
    disk =
        new OpenDisk(
            iscsi
                .path("url")
                .asText()
                .replace(
                    "iscsi://",
                    "iscsi://%s%%%s@"
                        .formatted(
                            iscsi.path("username").asText(), iscsi.path("password").asText())));
    disk.read();
    assertEquals(200, bootScript());
  }

  @AfterEach
  void stop() throws Exception {
    for (Socket socket : flood) {
      socket.close();
    }
    client.close();
    if (disk != null) {
      disk.close();
    }
    if (api != null) {
      api.close();
    }
    if (server != null) {
      server.close();
    }
  }

  /** A disk that an initiator has open all the time. */
  private static final class OpenDisk implements AutoCloseable {
    private final String url;
    private final Process process;
    private final Writer commands;
    private final BufferedReader answers;

    OpenDisk(String url) throws IOException {
      this.url = url;
      process =
          new ProcessBuilder("qemu-io", "-r", "-f", "raw", "-t", "none", url)
              .redirectErrorStream(true)
              .start();
      commands = process.outputWriter(StandardCharsets.US_ASCII);
      answers =
          new BufferedReader(
              new InputStreamReader(process.getInputStream(), StandardCharsets.US_ASCII));
    }

    /** Reads a sector, which must be that of the image. */
    void read() throws IOException {
      commands.write("read -v " + SECTOR * 512 + " 512\n");
      commands.flush();
      List<String> said = new ArrayList<>();
      while (true) {
        String line = answers.readLine();
        said.add(line);
        assertTrue(line != null && !line.contains("failed"), said::toString);
        if (line.startsWith("read 512/512")) {
          assertTrue(
              said.stream().anyMatch(each -> each.contains("00000e00:  07 00")), said::toString);
          return;
        }
      }
    }

    @Override
    public void close() {
      process.destroyForcibly().onExit().join();
    }
  }

  private HttpRequest request(String listener, String path) throws IOException {
    return HttpRequest.newBuilder(
            URI.create("http://" + server.run().path(listener).asText() + path))
        .timeout(LIMIT)
        .build();
  }

  private int bootScript() throws IOException, InterruptedException {
    return client.send(request("bootHttp", "/boot.ipxe"), BodyHandlers.ofString()).statusCode();
  }

  private Socket connect(String listener) throws IOException {
    String[] at = server.run().path(listener).asText().split(":", -1);
    Socket socket = new Socket();
    flood.add(socket);
    socket.setSoTimeout(Math.toIntExact(LIMIT.toMillis()));
    socket.connect(new InetSocketAddress(at[0], Integer.parseInt(at[1])));
    return socket;
  }

  private static long connections(JsonNode system, String listener) {
    return listener(system, listener).path("connections").asLong();
  }

  private static long budget(JsonNode system, String listener) {
    return listener(system, listener).path("budget").asLong();
  }

  private static JsonNode listener(JsonNode system, String name) {
    for (JsonNode listener : system.path("listeners")) {
      if (listener.path("name").asText().equals(name)) {
        return listener;
      }
    }
    throw new AssertionError(name + " is missing: " + system);
  }

  private JsonNode system() throws IOException, InterruptedException {
    return api.get("/v1/system").expect(200).body();
  }

  @Test
  void aServerThatHadNoDescriptorLeftAnswersAgainOnEveryListener() throws Exception {
    // Each listener has room for the one connection that it already waits for.
    server.limit("10:");
    CompletableFuture<HttpResponse<String>> health =
        HttpClient.newHttpClient().sendAsync(request("http", "/healthz"), BodyHandlers.ofString());
    connect("http");
    Patience.await(
        System.out,
        LIMIT,
        "the API has no descriptor for a connection",
        () -> server.log().contains("Too many open files"));
    connect("bootHttp");
    disk.read();

    server.limit("1024:");
    assertEquals(200, health.get(LIMIT.toSeconds(), TimeUnit.SECONDS).statusCode());
    try (TestApi fresh = server.api()) {
      fresh.get("/v1/system").expect(200);
    }
    assertEquals(200, bootScript());
    disk.read();
    assertTrue(server.isAlive());
    assertEquals(0, server.stop(), server::log);
  }

  @Test
  void listenersWithoutADescriptorWaitInsteadOfSpinning() throws Exception {
    server.limit("10:");
    for (String listener : List.of("http", "bootHttp")) {
      for (int i = 0; i < 3; i++) {
        connect(listener);
      }
    }
    Patience.await(
        System.out,
        LIMIT,
        "both listeners have no descriptor for a connection",
        () ->
            server.log().contains("the api listener could not take a connection")
                && server.log().contains("the boot listener could not take a connection"));
    Map<String, Long> before = server.cpuTicks();
    long window = 2;
    assertFalse(server.awaitEnd(Duration.ofSeconds(window)));
    Map<String, Long> after = server.cpuTicks();
    List<String> names = List.of("api-listener", "boot-listener");
    assertTrue(after.keySet().containsAll(names), after::toString);
    for (String name : names) {
      // A hundred ticks are a second; who spins takes all that the machine has left for it.
      long ticks = after.getOrDefault(name, 0L) - before.getOrDefault(name, 0L);
      assertTrue(ticks < window * 20, name + " took " + ticks + " ticks");
    }
    disk.read();
    server.limit("1024:");
    assertEquals(200, bootScript());
  }

  @Test
  void thousandsOfIdleConnectionsToTheApiKeepNobodyOut() throws Exception {
    for (int i = 0; i < 3000; i++) {
      connect("http");
      if (i % 500 == 0) {
        disk.read();
        assertEquals(200, bootScript());
        try (TestApi fresh = server.api()) {
          fresh.get("/readyz").expect(200);
        }
      }
    }
    JsonNode system = system();
    long most = budget(system, "api");
    assertTrue(most < 1000, system::toString);
    assertTrue(connections(system, "api") <= most, system::toString);
    assertTrue(connections(system, "iscsi") >= 1, system::toString);
    long open = system.path("descriptors").path("open").asLong();
    assertTrue(open > most && open < 0.8 * 1024, system::toString);
    assertFalse(server.log().contains("Too many open files"), server::log);

    String metrics = api.get("/metrics").raw().body();
    assertTrue(metrics.contains("m2_max_files 1024.0"), metrics);
    assertTrue(metrics.matches("(?s).*m2_open_files [1-9][0-9]+\\.0\n.*"), metrics);
    assertTrue(metrics.matches("(?s).*m2_connections\\{listener=\"iscsi\",?\\} [1-9].*"), metrics);
    disk.read();
  }

  @Test
  void aFloodOfTheBootListenerTakesNothingFromTheOthers() throws Exception {
    long most = budget(system(), "boot");
    // Some say nothing, some begin a request, some a body, and none ends what it began.
    List<String> beginnings =
        List.of(
            "",
            "G",
            "GET /boot.ipxe HTTP/1.1\r\nHost: ",
            "POST /phone-home/x HTTP/1.1\r\nHost: m2\r\nContent-Length: 9\r\n\r\n");
    for (int i = 0; i < 4 * most; i++) {
      Socket slow = connect("bootHttp");
      try {
        slow.getOutputStream()
            .write(beginnings.get(i % beginnings.size()).getBytes(StandardCharsets.US_ASCII));
      } catch (SocketException refused) {
        // That one was told to come again.
      }
      if (i % 200 == 0) {
        disk.read();
        JsonNode system = system();
        assertTrue(connections(system, "boot") <= most, system::toString);
      }
    }
    try (OpenDisk another = new OpenDisk(disk.url)) {
      another.read();
    }
    disk.read();
    try (TestApi fresh = server.api()) {
      fresh.get("/readyz").expect(200);
    }
    assertFalse(server.log().contains("Too many open files"), server::log);
    // The flood stays; its slow ones have to give way all the same.
    Patience.await(
        System.out,
        LIMIT,
        "the boot listener answers",
        () -> {
          try {
            return bootScript() == 200;
          } catch (IOException refused) {
            return false;
          }
        });
  }

  @Test
  void connectionsThatAreAllBusyTakeNothingFromOtherListeners() throws Exception {
    long most = budget(system(), "api");
    String token = api.request("/v1/events").build().headers().firstValue("Authorization").get();
    List<Socket> streams = new ArrayList<>();
    // One of them is the client's of this test, which waits for its next request and has to go.
    for (int i = 0; i < most; i++) {
      Socket stream = connect("http");
      streams.add(stream);
      stream
          .getOutputStream()
          .write(
              ("GET /v1/events HTTP/1.1\r\nHost: m2\r\nAuthorization: "
                      + token
                      + "\r\nAccept: text/event-stream\r\n\r\n")
                  .getBytes(StandardCharsets.US_ASCII));
      byte[] status = stream.getInputStream().readNBytes("HTTP/1.1 200".length());
      assertEquals("HTTP/1.1 200", new String(status, StandardCharsets.US_ASCII));
    }
    String refusal =
        new String(connect("http").getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(refusal.startsWith("HTTP/1.1 503 "), refusal);
    assertTrue(refusal.contains("\r\nRetry-After: "), refusal);
    assertTrue(refusal.contains("\r\nContent-Type: application/problem+json\r\n"), refusal);
    JsonNode problem = TestApi.JSON.readTree(refusal.substring(refusal.indexOf("\r\n\r\n")));
    assertEquals("TOO_MANY_CONNECTIONS", problem.path("code").asText(), refusal);
    assertFalse(problem.path("hint").asText().isEmpty(), refusal);
    assertTrue(server.log().contains("all " + most + " that it may have are busy"), server::log);
    disk.read();
    assertEquals(200, bootScript());

    streams.getFirst().close();
    try (TestApi again = awaitApi()) {
      assertTrue(connections(again.get("/v1/system").expect(200).body(), "api") <= most);
    }
  }

  /** The server notices at its next word that a stream's reader has gone. */
  private TestApi awaitApi() throws Exception {
    Patience.await(
        System.out,
        LIMIT,
        "the place of a stream is free",
        () ->
            client.send(request("http", "/healthz"), BodyHandlers.ofString()).statusCode() == 200);
    return server.api();
  }

  @Test
  void aLowLimitIsRaisedAsFarAsItGoesAndSaidEverywhere() throws Exception {
    Path data = directory.resolve("other");
    try (ServeProcess other =
            ServeProcess.startWithin(
                "512:2048", data, Map.of("JAVA_TOOL_OPTIONS", "-XX:-MaxFDLimit"));
        TestApi its = other.api()) {
      JsonNode descriptors = its.get("/v1/system").expect(200).body().path("descriptors");
      assertEquals(2048, descriptors.path("limit").asInt());
      String shortage = descriptors.path("shortage").asText();
      assertTrue(shortage.contains("The limit of 2048 open files"), shortage);
      assertTrue(shortage.contains("raise it to"), shortage);
      assertTrue(other.log().contains(shortage), other::log);
      Map<String, String> environment =
          Map.of(
              "M2_URL",
              "http://" + other.run().path("http").asText(),
              "M2_TOKEN_FILE",
              data.resolve("admin-token").toString());
      Outcome status = Outcome.of(environment, Map.of(), "status");
      assertTrue(status.out().contains(shortage), status::toString);
      assertTrue(status.out().contains("iscsi 0 of "), status::toString);
    }
  }
}
