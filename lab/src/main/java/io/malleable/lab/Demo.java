package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.LongNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.BootTimeline;
import io.malleable.cli.CommandFailure;
import io.malleable.cli.Operations;
import io.malleable.cli.Table;
import io.malleable.hardware.Firmware;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;

/** The demo's story, told as it happens. */
final class Demo {
  static final String NODE = "demo";

  private static final String IMAGE = "tiny";
  private static final int MEMORY_MIB = 512;
  private static final Duration IMPORT_LIMIT = Duration.ofMinutes(5);
  private static final Duration POLL = Duration.ofMillis(150);
  private static final int TAIL_LINES = 8;
  private static final int LIVE_LINES = 4;

  /** No new stage and no new line on the console for that long: it is stuck. */
  private static final Duration SILENCE_LIMIT = Duration.ofMinutes(3);

  /** What a boot through QEMU's user-mode network shows, in order. */
  private static final List<String> STAGES =
      List.of(
          "power-on",
          "boot-script",
          "firmware-login",
          "first-read",
          "os-login",
          "first-write",
          "ready");

  private final DemoPlace place;
  private final LiveScreen screen;
  private final Firmware firmware;
  private final List<String> launcher;
  private final long beganNanos = System.nanoTime();

  Demo(DemoPlace place, LiveScreen screen, Firmware firmware, List<String> launcher) {
    this.place = place;
    this.screen = screen;
    this.firmware = firmware;
    this.launcher = launcher;
  }

  void run() {
    screen.say("One boot from a network drive, everything in " + place.directory());
    Path image = buildImage();
    LocalServer server = place.startServer(launcher);
    ApiClient api = server.api();
    step("server is up: API " + api.endpoint().url() + ", one process, SQLite and files");
    JsonNode imported = importImage(api, image);
    LabMachines.of(api).add(NODE, firmware, MEMORY_MIB);
    step(
        "node %s added: a virtual server with %s firmware, %d MiB of memory and no disk"
            .formatted(NODE, firmware == Firmware.UEFI ? "UEFI" : "BIOS", MEMORY_MIB));
    step("provisioning: m2 node provision " + NODE + " --image " + IMAGE);
    long calledNanos = System.nanoTime();
    ApiClient.Answer answer =
        api.post(api.object().put("image", IMAGE), "/v1/nodes/{}/provision", NODE);
    Duration call = Duration.ofNanos(System.nanoTime() - calledNanos);
    try (BootWatch watch = new BootWatch(api, NODE)) {
      JsonNode node = awaitReady(api, server, watch, answer.body());
      report(imported, node, answer.body(), call, watch);
    }
  }

  private Path buildImage() {
    Path cache = TinyImage.defaultCache(System.getenv());
    try {
      Path image =
          new TinyImage(cache, System.getenv())
              .build((step, steps, text) -> {
                screen.draw(bar((double) (step - 1) / steps, "building the image: " + text));
                if (!screen.isLive()) {
                  step("image: " + text);
                }
              });
      if (screen.isLive()) {
        step("image built, or found in " + cache);
      }
      return image;
    } catch (IOException e) {
      throw new CommandFailure("the image cannot be built: " + e.getMessage(), null, e);
    }
  }

  private JsonNode importImage(ApiClient api, Path file) {
    var request = api.object().put("name", IMAGE);
    request.putObject("source").put("path", file.toString());
    ApiClient.Answer answer = api.post(request, "/v1/images");
    if (answer.isAccepted()) {
      Operations.await(
          api, answer.body(), screen.terminal(), screen.progressWriter(), IMPORT_LIMIT);
    }
    JsonNode image = api.get("/v1/images/{}", IMAGE);
    step("image " + IMAGE + " imported: " + Table.size(image.path("sizeBytes")));
    return image;
  }

  /** Shows each stage once, and below them how far it is and what the machine last wrote. */
  private JsonNode awaitReady(
      ApiClient api, LocalServer server, BootWatch watch, JsonNode operation) {
    long progressNanos = System.nanoTime();
    long lines = 0;
    while (true) {
      JsonNode node = watch.node();
      List<JsonNode> fresh = watch.newStages(node);
      Instant powerOn = BootWatch.at(node, "power-on");
      for (JsonNode stage : fresh) {
        screen.say("  " + describe(stage, powerOn));
      }
      if (!BootWatch.at(node, "ready").equals(Instant.MAX)) {
        screen.clear();
        return node;
      }
      if (!fresh.isEmpty() || watch.consoleLines() != lines) {
        lines = watch.consoleLines();
        progressNanos = System.nanoTime();
      }
      JsonNode now = api.get("/v1/operations/{}", operation.path("id").asText());
      boolean silent = System.nanoTime() - progressNanos > SILENCE_LIMIT.toNanos();
      if (now.path("state").asText().matches("failed|aborted") || silent) {
        throw failure(api, server, watch, now);
      }
      double done = (double) node.path("bootTimeline").size() / STAGES.size();
      screen.draw(bar(done, waitingFor(node, powerOn)), watch.consoleTail(LIVE_LINES));
      LockSupport.parkNanos(POLL.toNanos());
    }
  }

  private void report(
      JsonNode image, JsonNode node, JsonNode operation, Duration call, BootWatch watch) {
    Instant powerOn = BootWatch.at(node, "power-on");
    Instant asked = Instant.parse(operation.path("createdAt").asText());
    long readBytes = 0;
    for (JsonNode stage : node.path("bootTimeline")) {
      readBytes = Math.max(readBytes, stage.path("readBytes").asLong());
    }
    long sizeBytes = Math.max(1, image.path("sizeBytes").asLong());
    screen.say("");
    screen.timeline(out -> BootTimeline.print(out, node));
    screen.say("");
    line("provision to power-on", Duration.between(asked, powerOn).toMillis() + " ms");
    line("answer to the call", "after " + call.toMillis() + " ms");
    Duration boot = Duration.between(powerOn, BootWatch.at(node, "ready"));
    line("power-on to ready", String.format(Locale.ROOT, "%.1f s", boot.toMillis() / 1000.0));
    line(
        "read from the image",
        String.format(
            Locale.ROOT,
            "%s of %s (%.0f %%); nothing was copied",
            Table.size(LongNode.valueOf(readBytes)),
            Table.size(image.path("sizeBytes")),
            100.0 * readBytes / sizeBytes));
    screen.say("");
    screen.say("The console's last lines:");
    watch.consoleTail(TAIL_LINES).forEach(each -> screen.say("  | " + each));
    screen.say("");
    screen.say("Next: script/demo --stay keeps it running, with commands to play;");
    screen.say("      script/demo --firmware uefi boots the same image through UEFI.");
  }

  private CommandFailure failure(
      ApiClient api, LocalServer server, BootWatch watch, JsonNode operation) {
    screen.clear();
    JsonNode explanation = api.get("/v1/nodes/{}/explain", NODE);
    StringBuilder text = new StringBuilder("the machine did not come up: ");
    text.append(explanation.path("summary").asText()).append('\n');
    for (String field : List.of("reached", "missing", "cause", "fix")) {
      if (explanation.hasNonNull(field)) {
        text.append("  ").append(field).append(": ").append(explanation.path(field).asText());
        text.append('\n');
      }
    }
    String error = operation.path("error").path("message").asText("");
    if (!error.isEmpty()) {
      text.append("  operation: ").append(error).append('\n');
    }
    text.append("The console's last lines:\n");
    watch
        .consoleTail(3 * TAIL_LINES)
        .forEach(each -> text.append("  | ").append(each).append('\n'));
    text.append("The server's last words:\n").append(server.logTail().indent(4));
    return new CommandFailure(text.toString().stripTrailing());
  }

  private static String waitingFor(JsonNode node, Instant powerOn) {
    String next = "ready";
    for (String stage : STAGES.reversed()) {
      next = BootWatch.at(node, stage).equals(Instant.MAX) ? stage : next;
    }
    if (powerOn.equals(Instant.MAX)) {
      return "waiting for " + next;
    }
    double seconds = Duration.between(powerOn, Instant.now()).toMillis() / 1000.0;
    return String.format(Locale.ROOT, "%5.1f s, waiting for %s", Math.max(0, seconds), next);
  }

  private static String describe(JsonNode stage, Instant powerOn) {
    Instant at = Instant.parse(stage.path("at").asText());
    double seconds =
        powerOn.equals(Instant.MAX) ? 0 : Duration.between(powerOn, at).toMillis() / 1000.0;
    String read =
        stage.path("readBytes").asLong() > 0 ? Table.size(stage.path("readBytes")) + " read" : "";
    return String.format(
            Locale.ROOT, "+%5.1f s  %-15s %s", seconds, stage.path("stage").asText(), read)
        .stripTrailing();
  }

  private static String bar(double fraction, String text) {
    int columns = 24;
    int full = (int) Math.round(Math.min(1, fraction) * columns);
    return "[" + "#".repeat(full) + ".".repeat(columns - full) + "] " + text;
  }

  private void line(String what, String value) {
    screen.say(String.format(Locale.ROOT, "%-22s  %s", what, value));
  }

  private void step(String text) {
    double seconds = (System.nanoTime() - beganNanos) / 1e9;
    screen.say(String.format(Locale.ROOT, "%6.1f s  %s", seconds, text));
  }
}
