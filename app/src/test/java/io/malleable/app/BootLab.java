package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.BootTimeline;
import io.malleable.cli.CommandFailure;
import io.malleable.cli.Operations;
import io.malleable.cli.Terminal;
import io.malleable.hardware.Firmware;
import io.malleable.lab.LabMachines;
import io.malleable.lab.LocalServer;
import io.malleable.lab.TinyImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A server process, the small image in it, and machines that boot: what the boot tests share. All
 * of it ends with {@link #close}.
 */
final class BootLab implements AutoCloseable {
  static final String IMAGE = "tiny";

  private static final int MEMORY_MIB = 384;
  private static final Duration OPERATION_LIMIT = Duration.ofMinutes(10);
  private static final Duration POWER_ON_LIMIT = Duration.ofMinutes(2);

  private final Path base;
  private final List<Guest> guests = new ArrayList<>();
  private LocalServer server;

  private BootLab(Path base, LocalServer server) {
    this.base = base;
    this.server = server;
  }

  /** Starts the server and imports the small image. */
  static BootLab start() throws IOException {
    Path image =
        new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
            .build((_, _, _) -> {});
    Path base = Files.createTempDirectory("m2-boot-test-");
    BootLab lab = new BootLab(base, LocalServer.start(program(), base));
    try {
      lab.importImage(IMAGE, image);
      return lab;
    } catch (RuntimeException e) {
      lab.close();
      throw e;
    }
  }

  private static List<String> program() {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "--enable-native-access=ALL-UNNAMED",
        "-Xmx512m",
        "-cp",
        System.getProperty("java.class.path", ""),
        Main.class.getName());
  }

  LocalServer server() {
    return server;
  }

  ApiClient api() {
    return server.api();
  }

  Path base() {
    return base;
  }

  /** Starts the server again on its ports, after a test has ended it. */
  void startServerAgain() throws IOException {
    server = server.startAgain();
  }

  void importImage(String name, Path file) {
    ObjectNode request = api().object().put("name", name);
    request.putObject("source").put("path", file.toString());
    await(api().post(request, "/v1/images"));
  }

  /** Adds a machine that the server powers. */
  Guest addMachine(String name, Firmware firmware) {
    LabMachines.of(api()).add(name, firmware, MEMORY_MIB);
    Guest guest = new Guest(server.labDirectory(), name, () -> asTheServerSeesIt(name));
    guests.add(guest);
    return guest;
  }

  private String asTheServerSeesIt(String node) {
    String timeline;
    try {
      timeline = timeline(node);
    } catch (RuntimeException e) {
      // A server that is dead, for instance; what it is asked for must be told all the same.
      timeline = e.toString();
    }
    return timeline + "\n" + server.logTail();
  }

  /** Waits for the end of what a call began, which must be a good one. */
  JsonNode await(ApiClient.Answer answer) {
    if (!answer.isAccepted()) {
      return answer.body();
    }
    PrintWriter nowhere = new PrintWriter(new StringWriter());
    Terminal terminal = new Terminal(Map.of(), false, 80);
    try {
      return Operations.await(api(), answer.body(), terminal, nowhere, OPERATION_LIMIT);
    } catch (CommandFailure e) {
      throw new AssertionError(e.getMessage() + "\nthe server said:\n" + server.logTail(), e);
    }
  }

  /** Begins to provision, and returns when the machine has power; the operation. */
  ApiClient.Answer provision(String node, String kind, String name) {
    int bootBefore = node(node).path("boot").asInt();
    ApiClient.Answer answer = bind(node, kind, name);
    // Its console shows the boot before until then.
    awaitBoot(node, bootBefore + 1);
    return answer;
  }

  /** The same for a machine that somebody else switches on. */
  ApiClient.Answer bind(String node, String kind, String name) {
    return api().post(api().object().put(kind, name), "/v1/nodes/{}/provision", node);
  }

  /** Waits until the machine was powered on for a boot. */
  void awaitBoot(String node, int number) {
    Patience patience = new Patience(POWER_ON_LIMIT);
    while (node(node).path("boot").asInt() < number || find(node, "power-on").isEmpty()) {
      if (!patience.waitOn()) {
        throw new AssertionError(node + " has no power: " + node(node).toPrettyString());
      }
    }
  }

  void release(String node) {
    await(api().post(api().object(), "/v1/nodes/{}/release", node));
  }

  JsonNode node(String name) {
    return api().get("/v1/nodes/{}", name);
  }

  /** When a stage of the node's latest boot came. */
  Instant stage(String node, String stage) {
    return find(node, stage)
        .orElseThrow(() -> new AssertionError("no stage " + stage + ":\n" + timeline(node)));
  }

  /** Waits for a stage; the operation that boots the node has its own deadline. */
  Instant awaitStage(String node, String stage, Duration limit) {
    Patience patience = new Patience(limit);
    do {
      Optional<Instant> at = find(node, stage);
      if (at.isPresent()) {
        return at.get();
      }
    } while (patience.waitOn());
    return stage(node, stage);
  }

  private Optional<Instant> find(String node, String stage) {
    for (JsonNode one : node(node).path("bootTimeline")) {
      if (one.path("stage").asText().equals(stage)) {
        return Optional.of(Instant.parse(one.path("at").asText()));
      }
    }
    return Optional.empty();
  }

  /** The timeline as a person sees it, for reports. */
  String timeline(String node) {
    StringWriter text = new StringWriter();
    PrintWriter out = new PrintWriter(text);
    BootTimeline.print(out, node(node));
    out.flush();
    return text.toString();
  }

  @Override
  public void close() throws IOException {
    for (Guest guest : guests) {
      guest.close();
    }
    server.stop();
    try (Stream<Path> paths = Files.walk(base)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
