package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.BootTimeline;
import io.malleable.cli.Endpoint;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * What {@link DebianBootTest} runs in a network namespace: a server, a rack of one BIOS and one
 * UEFI machine, and an operator who provisions each and logs in.
 */
final class DebianScenario {
  private static final Duration STEP_LIMIT = Duration.ofMinutes(10);
  private static final Duration BOOT_LIMIT = Duration.ofMinutes(30);

  /** A machine that writes nothing for so long is stuck; a busy host only makes it slow. */
  private static final Duration SILENCE_LIMIT = Duration.ofMinutes(8);

  private static final int CONSOLE_TAIL_CHARS = 6000;
  private static final PrintStream OUT = System.out;

  /** Facts about the booted system, one {@code name=value} a line. */
  private static final String ASK =
      """
      echo hostname=$(hostname)
      echo instance=$(sudo cat /var/lib/cloud/data/instance-id)
      root=$(lsblk -no PKNAME $(findmnt -no SOURCE /))
      echo transport=$(lsblk -dno TRAN /dev/$root)
      echo rootGib=$(df -B1G --output=size / | tail -1)
      nic=/sys/firmware/ibft/ethernet0
      echo firmwareAddress=$(sudo cat $nic/ip-addr)
      dev=$(ip -br link | grep -i $(sudo cat $nic/mac) | cut -d' ' -f1)
      echo address=$(ip -4 -o addr show dev $dev up | grep -o 'inet [0-9.]*' | cut -d' ' -f2)
      echo lifetime=$(ip -4 addr show dev $dev | grep -o 'valid_lft forever')
      echo managed=$(networkctl list $dev --no-legend | tr -s ' ')
      echo network=$(cat /run/systemd/network/*.network)
      echo sessions=$(ls -d /sys/class/iscsi_session/session* | wc -l)
      echo recovery=$(cat /sys/class/iscsi_session/session*/recovery_tmo)
      echo iscsid=$(systemctl is-active iscsid)
      echo initiator=$(sudo grep -h ^InitiatorName /etc/iscsi/initiatorname.iscsi)
      echo cloud=$(cloud-init status)
      echo failed=$(systemctl --failed --plain --no-legend | tr -s ' ')
      echo root=$(sudo passwd -S root | cut -d' ' -f2)
      echo machine=$(cat /etc/machine-id)
      echo hostKey=$(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub)
      echo firmware=$(test -d /sys/firmware/efi && echo uefi || echo bios)
      echo seconds=$(systemd-analyze time | head -1)
      """;

  private final Path directory;
  private final Path data;
  private final Path key;

  private DebianScenario(Path directory) {
    this.directory = directory;
    this.data = directory.resolve("data");
    this.key = directory.resolve("key");
  }

  public static void main(String[] arguments) throws Exception {
    new DebianScenario(Path.of(arguments[0])).run(Path.of(arguments[1]));
  }

  private void run(Path image) throws Exception {
    exec("ip", "link", "set", "lo", "up");
    exec(RackScenario.m2("lab", "switch").toArray(String[]::new));
    newKey(key);
    newKey(directory.resolve("stranger"));
    String[] flags = {
      "--dhcp", "m2rack0",
      "--dhcp-pool", "10.77.0.100-10.77.0.200",
      "--tftp", "10.77.0.1:69",
      "--boot-http", "10.77.0.1:0",
      "--iscsi", "10.77.0.1:0"
    };
    try (ServeProcess server = ServeProcess.start(data, Map.of(), flags)) {
      String token = Files.readString(data.resolve("admin-token")).strip();
      URI url = URI.create("http://" + server.run().path("http").asText());
      ApiClient api = new ApiClient(new Endpoint(url, token, "default"));
      Process rack = startRack(url, token);
      try {
        boot(api, rack, image);
      } finally {
        rack.destroy();
        if (!rack.waitFor(2, TimeUnit.MINUTES)) {
          rack.destroyForcibly();
        }
      }
    }
  }

  private void boot(ApiClient api, Process rack, Path image) throws Exception {
    await(
        STEP_LIMIT,
        "rack",
        () -> {
          String said = Files.readString(directory.resolve("rack.log"));
          check(rack.isAlive(), "the rack runs:\n" + said);
          return said.contains("until it is interrupted");
        });
    ObjectNode request = api.object().put("name", "debian-12");
    request.putObject("source").put("path", image.toString());
    finish(api, api.post(request, "/v1/images"), "import");
    JsonNode imported = api.get("/v1/images/{}", "debian-12");
    OUT.printf(
        "image: %d MiB, %d MiB allocated%n",
        imported.path("sizeBytes").asLong() >> 20, imported.path("allocatedBytes").asLong() >> 20);

    Map<String, String> bios = bootOne(api, "rack-1");
    check("bios".equals(bios.get("firmware")), "BIOS: " + bios);
    release(api, "rack-1");

    Map<String, String> uefi = bootOne(api, "rack-2");
    check("uefi".equals(uefi.get("firmware")), "UEFI: " + uefi);
    for (String identity : List.of("instance", "machine", "hostKey", "initiator")) {
      check(
          !uefi.getOrDefault(identity, "").equals(bios.get(identity)),
          identity + " differs between two clones: " + bios.get(identity));
    }
    release(api, "rack-2");
  }

  /** Provisions, waits until the system says that it is up, logs in, and looks. */
  private Map<String, String> bootOne(ApiClient api, String node) throws Exception {
    ObjectNode request = api.object().put("image", "debian-12");
    request.putArray("sshKeys").add(Files.readString(directory.resolve("key.pub")).strip());
    finish(api, api.post(request, "/v1/nodes/{}/provision", node), node + " provision");
    awaitReady(api, node);
    StringWriter timeline = new StringWriter();
    PrintWriter print = new PrintWriter(timeline);
    BootTimeline.print(print, api.get("/v1/nodes/{}", node));
    print.flush();
    OUT.println(timeline);

    String address = address(api, node);
    Ssh stranger = ssh(address, directory.resolve("stranger"), "true");
    check(
        stranger.status() != 0 && stranger.output().contains("Permission denied (publickey)"),
        "another key is not let in: " + stranger);
    Ssh login = ssh(address, key, ASK);
    check(login.status() == 0, "login at " + address + ": " + login.output() + console(node));
    Map<String, String> facts = new HashMap<>();
    for (String line : login.output().lines().toList()) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        facts.put(line.substring(0, equals), line.substring(equals + 1));
        OUT.println("  " + line);
      }
    }
    checkFacts(api.get("/v1/nodes/{}", node), address, facts);
    return facts;
  }

  private static void checkFacts(JsonNode node, String address, Map<String, String> facts) {
    Map<String, String> expected =
        Map.ofEntries(
            Map.entry("hostname", node.path("name").asText()),
            Map.entry("transport", "iscsi"),
            Map.entry("firmwareAddress", address),
            Map.entry("address", address),
            Map.entry("lifetime", "valid_lft forever"),
            Map.entry("sessions", "1"),
            Map.entry("iscsid", "active"),
            Map.entry("cloud", "status: done"),
            Map.entry("failed", ""),
            Map.entry("root", "L"));
    expected.forEach((name, value) ->
        check(
            value.equals(facts.get(name)),
            name + " is " + value + " but " + facts.get(name) + ", of " + facts));
    check(
        facts.getOrDefault("managed", "").contains("routable configured"),
        "networkd has the boot NIC: " + facts);
    check(facts.getOrDefault("recovery", "").matches("-1|off"), "I/O waits: " + facts);
    check(!facts.getOrDefault("instance", "").isEmpty(), "an instance id: " + facts);
    check(
        facts
            .getOrDefault("initiator", "")
            .startsWith("InitiatorName=iqn.2026-11.io.malleable.node:"),
        "the firmware's initiator name: " + facts);
  }

  private void awaitReady(ApiClient api, String node) throws Exception {
    Patience silence = new Patience(SILENCE_LIMIT);
    long[] seen = {-1};
    await(
        BOOT_LIMIT,
        node + " ready",
        () -> {
          long length = consoleOf(node).length();
          if (length != seen[0]) {
            silence.renew();
            seen[0] = length;
          }
          check(
              silence.waitOn(),
              node + " goes on: " + api.get("/v1/nodes/{}", node).toPrettyString() + console(node));
          return stage(api, node, "ready") != null;
        });
  }

  private static @Nullable JsonNode stage(ApiClient api, String node, String stage) {
    for (JsonNode one : api.get("/v1/nodes/{}", node).path("bootTimeline")) {
      if (one.path("stage").asText().equals(stage)) {
        return one;
      }
    }
    return null;
  }

  /** As DHCP told the machine. */
  private static String address(ApiClient api, String node) {
    JsonNode ack = stage(api, node, "dhcp-ack");
    String detail = ack == null ? "" : ack.path("detail").asText();
    return detail.substring(detail.lastIndexOf(' ') + 1);
  }

  private static void release(ApiClient api, String node) throws Exception {
    ApiClient.Answer answer = api.post(api.object(), "/v1/nodes/{}/release", node);
    String id = answer.body().path("id").asText();
    await(
        STEP_LIMIT,
        node + " release",
        () -> api.get("/v1/operations/{}", id).path("state").asText().equals("succeeded"));
  }

  /** Waits for a good end of what a call began. */
  private void finish(ApiClient api, ApiClient.Answer answer, String what) throws Exception {
    if (!answer.isAccepted()) {
      return;
    }
    String id = answer.body().path("id").asText();
    await(
        BOOT_LIMIT,
        what,
        () -> {
          JsonNode operation = api.get("/v1/operations/{}", id);
          check(
              !operation.path("state").asText().matches("failed|aborted"),
              operation.toPrettyString() + console("rack-1") + console("rack-2"));
          return operation.path("state").asText().equals("succeeded");
        });
  }

  private record Ssh(int status, String output) {}

  private Ssh ssh(String address, Path identity, String script) throws Exception {
    List<String> command = new ArrayList<>(List.of("ssh", "-i", identity.toString()));
    for (String option :
        List.of(
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=60",
            "ServerAliveInterval=20",
            "ServerAliveCountMax=6")) {
      command.addAll(List.of("-o", option));
    }
    command.addAll(List.of("-F", "/dev/null", "debian@" + address, "sh", "-s"));
    Path output = directory.resolve("ssh.out");
    Path input = Files.writeString(directory.resolve("ssh.in"), script);
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectInput(input.toFile())
            .redirectOutput(output.toFile())
            .start();
    if (!process.waitFor(STEP_LIMIT.toSeconds(), TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    return new Ssh(process.onExit().join().exitValue(), Files.readString(output));
  }

  private static void newKey(Path file) throws Exception {
    exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", file.toString());
  }

  private Process startRack(URI url, String token) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(
            RackScenario.m2("lab", "up", "--rack", "2", "--firmware", "both", "--memory", "1024"));
    builder.environment().put("M2_URL", url.toString());
    builder.environment().put("M2_TOKEN", token);
    return builder
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("rack.log").toFile())
        .start();
  }

  private String consoleOf(String node) throws IOException {
    Path log = data.resolve("rack").resolve(node).resolve("console.log");
    return Files.exists(log) ? Files.readString(log, StandardCharsets.ISO_8859_1) : "";
  }

  private String console(String node) throws IOException {
    String all = consoleOf(node);
    return "\n== console of "
        + node
        + "\n"
        + all.substring(Math.max(0, all.length() - CONSOLE_TAIL_CHARS));
  }

  private static void exec(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
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
}
