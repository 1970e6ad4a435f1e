package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.Endpoint;
import io.malleable.lab.TinyImage;
import java.io.Closeable;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * What {@link RackTest} runs in a network namespace; speaks to people, and throws when it fails.
 */
final class RackScenario {
  private static final Duration STEP_LIMIT = Duration.ofMinutes(5);
  private static final Duration BOOT_LIMIT = Duration.ofMinutes(12);
  private static final PrintStream OUT = System.out;

  private final Path directory;
  private final Path data;

  private RackScenario(Path directory) {
    this.directory = directory;
    this.data = directory.resolve("data");
  }

  public static void main(String[] arguments) throws Exception {
    new RackScenario(Path.of(arguments[0])).run();
  }

  private void run() throws Exception {
    exec(List.of("ip", "link", "set", "lo", "up"));
    exec(m2("lab", "switch"));
    List<String> flags =
        List.of(
            "--dhcp",
            "m2rack0",
            "--dhcp-pool",
            "10.77.0.100-10.77.0.200",
            "--tftp",
            "10.77.0.1:69",
            "--boot-http",
            "10.77.0.1:0");
    List<String> more = new ArrayList<>(flags);
    more.addAll(List.of("--iscsi", "10.77.0.1:0"));
    try (ServeProcess server = ServeProcess.start(data, Map.of(), more.toArray(String[]::new))) {
      String token = Files.readString(data.resolve("admin-token")).strip();
      URI url = URI.create("http://" + server.run().path("http").asText());
      ApiClient api = new ApiClient(new Endpoint(url, token, "default"));
      try (RunningRack rack = startRack(url, token)) {
        boot(api, rack, server);
      }
      boolean anyLeft =
          ProcessHandle.allProcesses()
              .anyMatch(process -> commandLine(process).contains(data + "/rack/"));
      check(!anyLeft, "no machine of the rack runs on without it");
    }
  }

  private void boot(ApiClient api, RunningRack rack, ServeProcess server) throws Exception {
    await(
        STEP_LIMIT,
        "the rack is built",
        () -> {
          check(rack.process().isAlive(), "the rack runs:\n" + read(directory.resolve("rack.log")));
          return read(directory.resolve("rack.log")).contains("until it is interrupted");
        });
    check(api.get("/v1/nodes/{}", "rack-1").path("bmc").asText().startsWith("ipmi://"), "IPMI");
    check(
        api.get("/v1/nodes/{}", "rack-2").path("bmc").asText().startsWith("redfish://"), "Redfish");
    Path image =
        new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
            .build((_, _, _) -> {});
    var request = api.object().put("name", "tiny");
    request.putObject("source").put("path", image.toString());
    finish(api, api.post(request, "/v1/images"), STEP_LIMIT, server);

    // Two at once, as after a power cut.
    List<ApiClient.Answer> answers = new ArrayList<>();
    for (String node : List.of("rack-1", "rack-2")) {
      var image1 = api.object().put("image", "tiny");
      answers.add(api.post(image1, "/v1/nodes/{}/provision", node));
    }
    for (ApiClient.Answer answer : answers) {
      finish(api, answer, BOOT_LIMIT, server);
    }
    checkStages(api, "rack-1", List.of("power-on", "dhcp-offer", "dhcp-ack", "boot-script"));
    checkStages(
        api, "rack-2", List.of("power-on", "dhcp-offer", "dhcp-ack", "tftp", "boot-script"));
    for (String node : List.of("rack-1", "rack-2")) {
      checkStages(api, node, List.of("firmware-login", "first-read", "os-login"));
      finish(api, api.post(api.object(), "/v1/nodes/{}/release", node), STEP_LIMIT, server);
      OUT.println(node + " is released, power " + api.get("/v1/nodes/{}", node).path("power"));
    }
  }

  private static void checkStages(ApiClient api, String node, List<String> wanted) {
    JsonNode timeline = api.get("/v1/nodes/{}", node).path("bootTimeline");
    List<String> seen = new ArrayList<>();
    timeline.forEach(
        stage -> seen.add(stage.path("stage").asText() + " " + stage.path("at").asText()));
    OUT.println(node + ": " + String.join(", ", seen));
    for (String stage : wanted) {
      check(
          seen.stream().anyMatch(each -> each.startsWith(stage + " ")),
          node + " went through " + stage);
    }
  }

  /** Waits for a good end of what a call began. */
  private void finish(ApiClient api, ApiClient.Answer answer, Duration limit, ServeProcess server)
      throws Exception {
    if (!answer.isAccepted()) {
      return;
    }
    String id = answer.body().path("id").asText();
    await(
        limit,
        "operation " + answer.body().path("kind").asText(),
        () -> {
          JsonNode operation = api.get("/v1/operations/{}", id);
          check(
              !operation.path("state").asText().matches("failed|aborted"),
              operation.toPrettyString() + "\n" + server.log() + consoles());
          return operation.path("state").asText().equals("succeeded");
        });
  }

  private String consoles() throws IOException {
    StringBuilder text = new StringBuilder();
    for (String node : List.of("rack-1", "rack-2")) {
      String console = read(data.resolve("rack").resolve(node).resolve("console.log"));
      text.append("\n== ").append(node).append('\n');
      text.append(console.substring(Math.max(0, console.length() - 3000)));
    }
    return text.toString();
  }

  private RunningRack startRack(URI url, String token) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(m2("lab", "up", "--rack", "2", "--firmware", "both", "--memory", "384"));
    builder.environment().put("M2_URL", url.toString());
    builder.environment().put("M2_TOKEN", token);
    builder.redirectErrorStream(true).redirectOutput(directory.resolve("rack.log").toFile());
    return new RunningRack(builder.start());
  }

  /** The command that runs the rack; it is told to end as Ctrl-C does it. */
  private record RunningRack(Process process) implements Closeable {
    @Override
    public void close() throws IOException {
      process.destroy();
      try {
        if (!process.waitFor(2, TimeUnit.MINUTES)) {
          throw new IOException("the rack did not stop");
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while the rack stopped", e);
      } finally {
        process.destroyForcibly();
      }
    }
  }

  private static List<String> m2(String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Xmx256m"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path", "")));
    command.add(Main.class.getName());
    command.addAll(Arrays.asList(arguments));
    return command;
  }

  private static void exec(List<String> command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    check(process.waitFor() == 0, String.join(" ", command) + ": " + said);
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(Duration limit, String what, Condition condition) throws Exception {
    long start = System.nanoTime();
    while (!condition.holds()) {
      check(System.nanoTime() - start < limit.toNanos(), what + " within " + limit);
      LockSupport.parkNanos(Duration.ofMillis(200).toNanos());
    }
    OUT.printf("%s: %.1f s%n", what, (System.nanoTime() - start) / 1e9);
  }

  private static void check(boolean good, String what) {
    if (!good) {
      throw new AssertionError("not so: " + what);
    }
  }

  private static String read(Path file) throws IOException {
    return Files.exists(file) ? Files.readString(file, StandardCharsets.ISO_8859_1) : "";
  }

  private static String commandLine(ProcessHandle process) {
    try {
      return Files.readString(
          Path.of("/proc", "" + process.pid(), "cmdline"), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return ""; // Ended meanwhile.
    }
  }
}
