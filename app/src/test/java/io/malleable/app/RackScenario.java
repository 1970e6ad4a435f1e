package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
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
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * What {@link RackTest} runs in a network namespace; speaks to people, and throws when it fails.
 */
final class RackScenario {
  /** Who hands out addresses on the segment. */
  enum Dhcp {
    SERVER,
    /** dnsmasq, which knows nothing of booting; we add the boot file. */
    PROXY
  }

  private static final Duration STEP_LIMIT = Duration.ofMinutes(5);
  private static final Duration BOOT_LIMIT = Duration.ofMinutes(12);
  private static final PrintStream OUT = System.out;
  private static final String BRIDGE = "m2rack0";

  /** PXE on a BIOS, PXE on UEFI, HTTP on UEFI: all at once, as after a power cut. */
  private static final List<String> NODES = List.of("rack-1", "rack-2", "rack-3");

  private final Path directory;
  private final Path data;
  private final Dhcp dhcp;

  /** What this process has started, the last on top. */
  private final Deque<Closeable> running = new ArrayDeque<>();

  private RackScenario(Path directory, Dhcp dhcp) {
    this.directory = directory;
    this.data = directory.resolve("data");
    this.dhcp = dhcp;
  }

  public static void main(String[] arguments) throws Exception {
    RackScenario scenario = new RackScenario(Path.of(arguments[0]), Dhcp.valueOf(arguments[1]));
    try {
      scenario.run();
    } finally {
      while (!scenario.running.isEmpty()) {
        scenario.running.pop().close();
      }
    }
  }

  private void run() throws Exception {
    exec(List.of("ip", "link", "set", "lo", "up"));
    exec(m2("lab", "switch"));
    List<String> flags =
        new ArrayList<>(
            List.of(
                "--dhcp",
                BRIDGE,
                "--tftp",
                "10.77.0.1:69",
                "--boot-http",
                "10.77.0.1:0",
                "--iscsi",
                "10.77.0.1:0"));
    switch (dhcp) {
      case SERVER -> flags.addAll(List.of("--dhcp-pool", "10.77.0.100-10.77.0.200"));
      case PROXY -> {
        checkExternal();
        flags.addAll(List.of("--dhcp-mode", "proxy"));
        dnsmasq();
        checkOtherServerIsReported();
      }
    }
    try (ServeProcess server = ServeProcess.start(data, Map.of(), flags.toArray(String[]::new))) {
      String token = Files.readString(data.resolve("admin-token")).strip();
      URI url = URI.create("http://" + server.run().path("http").asText());
      ApiClient api = new ApiClient(new Endpoint(url, token, "default"));
      try (Running rack = startRack(url, token)) {
        await(
            STEP_LIMIT,
            "the rack is built",
            () -> {
              String said = read(directory.resolve("rack.log"));
              check(rack.process().isAlive(), "the rack runs:\n" + said);
              return said.contains("until it is interrupted");
            });
        boot(api, server, url, token);
      }
    }
    boolean anyLeft =
        ProcessHandle.allProcesses()
            .anyMatch(process -> commandLine(process).contains(data + "/rack/"));
    check(!anyLeft, "no machine of the rack runs on without it");
  }

  /** In external mode nothing is served and the other server's operator is told what to set. */
  private void checkExternal() throws Exception {
    Path elsewhere = directory.resolve("external");
    try (ServeProcess server =
        ServeProcess.start(
            elsewhere,
            Map.of(),
            "--dhcp",
            BRIDGE,
            "--dhcp-mode",
            "external",
            "--boot-http",
            "10.77.0.1:0")) {
      String url = "http://" + server.run().path("bootHttp").asText() + "/boot.ipxe";
      await(STEP_LIMIT, "settings", () -> server.log().contains("\"boot-file-name\": \"" + url));
      check(server.log().contains("dhcp-boot=tag:m2-ipxe," + url), server.log());
      check(!Files.exists(elsewhere.resolve("dhcp-leases")), "no lease in external mode");
    }
  }

  /** Two servers that both hand out addresses: nobody has to boot for the operator to know. */
  private void checkOtherServerIsReported() throws Exception {
    await(
        STEP_LIMIT,
        "dnsmasq listens",
        () -> has(directory.resolve("dnsmasq.log"), "sockets bound"));
    try (ServeProcess server =
        ServeProcess.start(
            directory.resolve("rival"),
            Map.of(),
            "--dhcp",
            BRIDGE,
            "--dhcp-pool",
            "10.77.0.60-10.77.0.70",
            "--boot-http",
            "10.77.0.1:0")) {
      URI url = URI.create("http://" + server.run().path("http").asText());
      String token = Files.readString(directory.resolve("rival/admin-token")).strip();
      ApiClient api = new ApiClient(new Endpoint(url, token, "default"));
      await(
          STEP_LIMIT,
          "an event names the other DHCP server",
          () -> {
            String events = api.list("/v1/events").toString();
            return events.contains("network.other-dhcp-server") && events.contains("10.77.0.2");
          });
    }
  }

  /** A DHCP server on a host of its own on the segment. */
  private void dnsmasq() throws Exception {
    Process host = start("host", List.of("unshare", "-n", "sleep", "3600"));
    String pid = Long.toString(host.pid());
    exec(List.of("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"));
    exec(List.of("ip", "link", "set", "v0", "master", BRIDGE, "up"));
    await(
        STEP_LIMIT,
        "a namespace for dnsmasq",
        () ->
            !Files.readSymbolicLink(Path.of("/proc", pid, "ns/net"))
                .equals(Files.readSymbolicLink(Path.of("/proc/self/ns/net"))));
    exec(List.of("ip", "link", "set", "v1", "netns", pid));
    List<String> inside = List.of("nsenter", "-t", pid, "-n");
    exec(plus(inside, "ip", "address", "add", "10.77.0.2/24", "dev", "v1"));
    exec(plus(inside, "ip", "link", "set", "v1", "up"));
    start(
        "dnsmasq",
        plus(
            inside,
            "dnsmasq",
            "--no-daemon",
            "--port=0",
            "--interface=v1",
            "--bind-interfaces",
            "--conf-file=/dev/null",
            "--dhcp-range=10.77.0.100,10.77.0.150,1h",
            "--dhcp-leasefile=" + directory.resolve("dnsmasq.leases"),
            "--pid-file="));
  }

  private void boot(ApiClient api, ServeProcess server, URI url, String token) throws Exception {
    checkBmcs(api);
    Path image =
        new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
            .build((_, _, _) -> {});
    ObjectNode imported = api.object().put("name", "tiny");
    imported.putObject("source").put("path", image.toString());
    finish(api, api.post(imported, "/v1/images"), STEP_LIMIT, server);
    api.patch(api.object().put("address", "10.77.0.21"), "/v1/nodes/{}", "rack-1");
    // Serial over LAN by ipmitool: of the IPMI machine, and beside Redfish.
    follow("rack-1", url, token);
    follow("rack-3", url, token);

    List<ApiClient.Answer> answers = new ArrayList<>();
    for (String node : NODES) {
      ObjectNode wanted = api.object().put("image", "tiny");
      wanted.putArray("sshKeys").add(key(node));
      answers.add(api.post(wanted, "/v1/nodes/{}/provision", node));
    }
    for (ApiClient.Answer answer : answers) {
      finish(api, answer, BOOT_LIMIT, server);
    }
    for (String node : NODES) {
      await(STEP_LIMIT, node + " is ready", () -> stages(api, node).contains("ready"));
    }
    checkStages(api, "rack-1", "dhcp-offer", "boot-script");
    checkStages(api, "rack-2", "dhcp-offer", "tftp", "boot-script");
    checkStages(api, "rack-3", "dhcp-offer", "boot-script");
    check(!stages(api, "rack-3").contains("tftp"), "rack-3 booted by HTTP alone");
    if (dhcp == Dhcp.SERVER) {
      String timeline = api.get("/v1/nodes/{}", "rack-1").path("bootTimeline").toString();
      check(timeline.contains("ipxe 10.77.0.21"), "rack-1 got its own address: " + timeline);
    }
    for (String node : NODES) {
      checkStages(api, node, "power-on", "firmware-login", "first-read", "os-login", "ready");
      checkIdentity(api, node);
    }
    checkConsole("rack-1", url, token);
    checkConsole("rack-3", url, token);
    if (dhcp == Dhcp.PROXY) {
      check(!read(directory.resolve("dnsmasq.leases")).isBlank(), "dnsmasq gave the addresses");
    }
    for (String node : NODES) {
      finish(api, api.post(api.object(), "/v1/nodes/{}/release", node), STEP_LIMIT, server);
      check(api.get("/v1/nodes/{}", node).path("power").asText().equals("off"), node + " is off");
    }
  }

  private static void checkBmcs(ApiClient api) {
    List<String> addresses =
        NODES.stream().map(node -> api.get("/v1/nodes/{}", node).path("bmc").asText()).toList();
    check(addresses.get(0).startsWith("ipmi://"), "rack-1 is behind IPMI");
    check(addresses.get(1).startsWith("redfish://"), "rack-2 is behind Redfish");
    check(addresses.get(2).contains("boot=http"), "rack-3 is told to boot by HTTP");
  }

  /** What the machine says of itself, against what the server knows of it. */
  private void checkIdentity(ApiClient api, String node) throws IOException {
    String console = console(node);
    String disk = api.get("/v1/nodes/{}", node).path("diskId").asText();
    String identity = "M2 IDENTITY hostname=" + node + " instance=" + disk + " new=yes";
    check(console.contains(identity), identity + " in:\n" + tail(console));
    check(console.contains("network=config:disabled keys=1\n"), "network and keys of " + node);
    check(console.contains("M2 KEY " + key(node) + "\n"), "the key of " + node);
    for (String other : NODES) {
      check(other.equals(node) || !console.contains(key(other)), "no key of " + other);
    }
    check(console.contains("M2 HOME http://10.77.0.1:"), "the report of " + node);
    check(console.contains("/phone-home/"), "with the token of the identity drive");
  }

  private static String key(String node) {
    return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0vZz0" + node.replace("-", "") + " ops@" + node;
  }

  private void follow(String node, URI url, String token) throws IOException {
    ProcessBuilder builder = command(url, token, "node", "console", node, "--follow");
    start(node + "-sol", builder);
  }

  /** The console over the BMC shows the boot, and takes what is typed. */
  private void checkConsole(String node, URI url, String token) throws Exception {
    Path log = directory.resolve(node + "-sol.log");
    await(STEP_LIMIT, node + " says over LAN that it is ready", () -> has(log, "M2 READY boot=1"));
    Process typed =
        command(url, token, "node", "console", node, "--type", "echo typed-$((6*7))").start();
    check(typed.waitFor(2, TimeUnit.MINUTES) && typed.exitValue() == 0, "typing into " + node);
    await(STEP_LIMIT, node + " answers over LAN", () -> has(log, "typed-42"));
  }

  private static List<String> stages(ApiClient api, String node) {
    List<String> stages = new ArrayList<>();
    api.get("/v1/nodes/{}", node)
        .path("bootTimeline")
        .forEach(stage -> stages.add(stage.path("stage").asText()));
    return stages;
  }

  private static void checkStages(ApiClient api, String node, String... wanted) {
    List<String> seen = stages(api, node);
    OUT.println(node + ": " + api.get("/v1/nodes/{}", node).path("bootTimeline"));
    for (String stage : wanted) {
      check(seen.contains(stage), node + " went through " + stage + ": " + seen);
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
    for (String node : NODES) {
      text.append("\n== ").append(node).append('\n').append(tail(console(node)));
    }
    return text.toString();
  }

  /** All that the machine wrote to its serial port. */
  private String console(String node) throws IOException {
    return read(data.resolve("rack").resolve(node).resolve("console.log")).replace("\r", "");
  }

  private static String tail(String text) {
    return text.substring(Math.max(0, text.length() - 3000));
  }

  private Running startRack(URI url, String token) throws IOException {
    ProcessBuilder builder =
        command(url, token, "lab", "up", "--rack", "3", "--firmware", "all", "--memory", "384");
    return new Running(start("rack", builder));
  }

  private static ProcessBuilder command(URI url, String token, String... arguments) {
    ProcessBuilder builder = new ProcessBuilder(m2(arguments));
    builder.environment().put("M2_URL", url.toString());
    builder.environment().put("M2_TOKEN", token);
    return builder;
  }

  private Process start(String name, List<String> command) throws IOException {
    return start(name, new ProcessBuilder(command));
  }

  /** Starts it with its output in {@code NAME.log}; it ends with the scenario at the latest. */
  private Process start(String name, ProcessBuilder builder) throws IOException {
    Path log = directory.resolve(name + ".log");
    Process process = builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
    running.push(new Running(process));
    return process;
  }

  /** A process of ours; it is told to end as Ctrl-C does it. */
  private record Running(Process process) implements Closeable {
    @Override
    public void close() throws IOException {
      process.destroy();
      try {
        if (!process.waitFor(2, TimeUnit.MINUTES)) {
          throw new IOException("it did not stop: " + process.info().commandLine());
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while it stopped", e);
      } finally {
        process.destroyForcibly();
      }
    }
  }

  static List<String> m2(String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Xmx256m"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path", "")));
    command.add(Main.class.getName());
    command.addAll(Arrays.asList(arguments));
    return command;
  }

  private static List<String> plus(List<String> command, String... arguments) {
    List<String> all = new ArrayList<>(command);
    all.addAll(List.of(arguments));
    return all;
  }

  private static void exec(List<String> command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    check(process.waitFor() == 0, String.join(" ", command) + ": " + said);
  }

  private static void await(Duration limit, String what, Patience.Condition condition)
      throws Exception {
    Patience.await(OUT, limit, what, condition);
  }

  private static void check(boolean good, String what) {
    if (!good) {
      throw new AssertionError("not so: " + what);
    }
  }

  private static boolean has(Path log, String text) throws IOException {
    return read(log).contains(text);
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
