package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.ApiException;
import io.malleable.cli.CommandFailure;
import io.malleable.cli.Operations;
import io.malleable.cli.Terminal;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.MachineDefinition;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * The virtual servers of one M2 server on this machine. Each is a directory below the server's lab
 * directory, and a node whose {@code bmc} is {@code qemu:NAME}; the server powers it like any
 * other.
 */
public final class LabMachines {
  private static final String BMC_SCHEME = "qemu:";

  /** QEMU's user-mode network shows the host's loopback to its guest under this address. */
  private static final String HOST_SEEN_BY_GUEST = "10.0.2.2";

  private static final Duration RELEASE_LIMIT = Duration.ofMinutes(2);

  private final ApiClient api;
  private final Path directory;
  private final String bootUrl;

  private LabMachines(ApiClient api, Path directory, String bootUrl) {
    this.api = api;
    this.directory = directory;
    this.bootUrl = bootUrl;
  }

  /**
   * The lab of a server.
   *
   * @throws CommandFailure when the server runs elsewhere or machines cannot reach it
   */
  public static LabMachines of(ApiClient api) {
    if (!api.endpoint().isThisMachine()) {
      throw new CommandFailure(
          "the lab's machines run beside their server, and " + api.endpoint().url() + " is remote",
          "Run m2 lab on the server's machine.");
    }
    JsonNode system = api.get("/v1/system");
    String boot = system.path("addresses").path("boot").asText();
    return new LabMachines(
        api, Path.of(system.path("labDirectory").asText()), bootUrl(URI.create(boot)));
  }

  /** The URL of the entry script for a guest in a user-mode network. */
  static String bootUrl(URI listener) {
    String host = listener.getHost();
    boolean loopback =
        host.startsWith("127.") || host.equals("localhost") || host.equals("0.0.0.0");
    if (host.contains(":")) {
      throw new CommandFailure(
          "the boot listener has the IPv6 address " + host + ", which lab machines do not reach",
          "Start the server with --boot-http 127.0.0.1:PORT or 0.0.0.0:PORT.");
    }
    return "http://"
        + (loopback ? HOST_SEEN_BY_GUEST : host)
        + ":"
        + listener.getPort()
        + "/boot.ipxe";
  }

  /**
   * Defines a machine and registers it as a node. A machine that is there already is defined anew,
   * which takes effect when it is powered on the next time.
   *
   * @return whether the node is new
   */
  public boolean add(String name, Firmware firmware, int memoryMiB) {
    JsonNode present = find(name);
    if (present != null && !isLabMachine(present)) {
      throw new CommandFailure(
          "node " + name + " exists and is no machine of the lab",
          "Choose other names with --prefix.");
    }
    String mac = present == null ? mac(name) : present.path("nics").path(0).path("mac").asText();
    try {
      MachineDefinition.onUserNetwork(mac, firmware, memoryMiB, bootUrl).write(directory, name);
    } catch (IOException e) {
      throw new CommandFailure(
          "cannot define machine " + name + " in " + directory + ": " + e.getMessage(),
          "The directory must be writable for you: run m2 lab as the user that runs the server.",
          e);
    }
    if (present != null) {
      return false;
    }
    ObjectNode node = api.object().put("name", name).put("bmc", BMC_SCHEME + name);
    node.put("firmware", firmware.name().toLowerCase(Locale.ROOT));
    node.putArray("nics").addObject().put("mac", mac);
    api.post(node, "/v1/nodes");
    return true;
  }

  /** The nodes of this project that are machines of the lab. */
  public List<JsonNode> list() {
    return api.list("/v1/nodes").stream().filter(LabMachines::isLabMachine).toList();
  }

  /** Releases a machine if it has a drive, switches it off, and forgets it. Its disk is kept. */
  public void remove(String name, Terminal terminal, PrintWriter err) {
    JsonNode node = find(name);
    if (node != null && !isLabMachine(node)) {
      throw new CommandFailure(
          "node " + name + " is no machine of the lab", "Remove it with: m2 node delete " + name);
    }
    if (node != null) {
      if (node.hasNonNull("disk")) {
        await(api.post(api.object(), "/v1/nodes/{}/release", name), terminal, err);
      } else {
        ObjectNode off = api.object().put("action", "off");
        await(api.post(off, "/v1/nodes/{}/power", name), terminal, err);
      }
      await(api.delete("/v1/nodes/{}", name), terminal, err);
    }
    Path machine = directory.resolve(name);
    if (node == null && !Files.exists(machine)) {
      throw new CommandFailure("the lab has no machine " + name, "See: m2 lab list");
    }
    delete(machine);
  }

  private void await(ApiClient.Answer answer, Terminal terminal, PrintWriter err) {
    if (answer.isAccepted()) {
      Operations.await(api, answer.body(), terminal, err, RELEASE_LIMIT);
    }
  }

  private @org.jspecify.annotations.Nullable JsonNode find(String name) {
    try {
      return api.get("/v1/nodes/{}", name);
    } catch (ApiException e) {
      if (e.status() == 404) {
        return null;
      }
      throw e;
    }
  }

  private static boolean isLabMachine(JsonNode node) {
    return node.path("bmc").asText().startsWith(BMC_SCHEME);
  }

  /** In QEMU's range; other labs on this machine have other directories, and so other MACs. */
  private String mac(String name) {
    String place = directory.resolve(name).toString();
    UUID hash = UUID.nameUUIDFromBytes(place.getBytes(StandardCharsets.UTF_8));
    long bits = hash.getLeastSignificantBits();
    return String.format(
        "52:54:00:%02x:%02x:%02x", bits >> 16 & 0xff, bits >> 8 & 0xff, bits & 0xff);
  }

  static void delete(Path tree) {
    if (!Files.exists(tree)) {
      return;
    }
    try (Stream<Path> paths = Files.walk(tree)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException e) {
      throw new CommandFailure(
          "cannot remove " + tree + ": " + e.getMessage(), "Remove it: rm -r " + tree, e);
    }
  }
}
