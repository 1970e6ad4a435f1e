package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 node}. */
final class NodeCommands {
  static final String NODE = "/v1/nodes/{}";

  private static final String ADDRESS =
      "for the NIC that boots, given by DHCP (default: one of the pool)";

  /** What {@code --ssh-key} means. */
  static final String SSH_KEY =
      "with a public key that may log in, from a disk's first boot on; repeat it for more";

  private static final String AFTER_HOST_CRASH =
      "what to do when a crash of the server's host may have lost acknowledged writes (default:"
          + " reboot); with write-through none are lost, and writes are slower";

  private NodeCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("node", () -> new Noun("Machines that boot their drives over the network"));
    commands.put("node add", Add::new);
    commands.put("node set", Change::new);
    commands.put("node list", ListAll::new);
    commands.put("node show", Show::new);
    commands.put("node provision", NodeLifecycle.Provision::new);
    commands.put("node release", NodeLifecycle.Release::new);
    commands.put("node failover", NodeLifecycle.Failover::new);
    commands.put("node power", Power::new);
    commands.put("node console", Console::new);
    commands.put("node explain", Explain::new);
    commands.put("node delete", Delete::new);
  }

  static final class Add extends ServerCommand {
    private final Argument name = arguments.parameter("NAME", "of the new node");

    Add() {
      super(
          "Adds a machine as a node",
          "",
          "The BMC's password is not given here: see the server's configuration.",
          "A machine without a BMC is switched on by hand; provision waits for it then.");
    }

    private final Argument macs =
        arguments.repeatedOption(
            "--mac", "MAC", "of the NIC that boots; repeat it for further NICs");

    private final Argument bmc =
        arguments.option(
            "--bmc", "URL", "how to switch it: qemu:NAME, ipmi://USER@HOST or redfish://USER@HOST");

    private final Argument firmware =
        arguments.option("--firmware", "bios|uefi", "how it boots (default: bios)");

    private final Argument arch =
        arguments.option("--arch", "ARCH", "of its processor (default: x86_64)");

    private final Argument address = arguments.option("--address", "IPV4", ADDRESS);
    private final Argument sshKeys = arguments.optionalRepeatedOption("--ssh-key", "FILE", SSH_KEY);
    private final Argument afterHostCrash =
        arguments.option("--after-host-crash", "reboot|write-through", AFTER_HOST_CRASH);

    @Override
    protected void run() {
      ObjectNode request = api().object().put("name", name.text());
      ArrayNode nics = request.putArray("nics");
      macs.all().forEach(mac -> nics.addObject().put("mac", mac));
      putIfGiven(request, "bmc", bmc);
      putIfGiven(request, "firmware", firmware);
      putIfGiven(request, "arch", arch);
      putIfGiven(request, "address", address);
      putIfGiven(request, "afterHostCrash", afterHostCrash);
      PublicKeys.putInto(request, sshKeys);
      JsonNode node = api().post(request, "/v1/nodes").body();
      if (wantsJson()) {
        printJson(node);
      } else {
        out()
            .println(
                "node "
                    + name.text()
                    + " is added; boot it with: m2 node provision "
                    + name.text()
                    + " --image IMAGE");
      }
    }
  }

  private static void putIfGiven(ObjectNode request, String field, Argument argument) {
    if (argument.orNull() != null) {
      request.put(field, argument.text());
    }
  }

  static final class Change extends ServerCommand {
    private final Argument name = arguments.parameter("NODE", "");
    private final Argument newName = arguments.option("--name", "NAME", "rename it");
    private final Argument macs =
        arguments.optionalRepeatedOption(
            "--mac", "MAC", "of the NIC that boots; repeat it for further NICs");
    private final Argument bmc =
        arguments.option("--bmc", "URL", "how to switch it; none: by hand");
    private final Argument firmware = arguments.option("--firmware", "bios|uefi", "how it boots");
    private final Argument arch = arguments.option("--arch", "ARCH", "of its processor");
    private final Argument address =
        arguments.option(
            "--address", "IPV4", "for the NIC that boots, given by DHCP; none: one of the pool");
    private final Argument sshKeys = arguments.optionalRepeatedOption("--ssh-key", "FILE", SSH_KEY);
    private final Argument afterHostCrash =
        arguments.option(
            "--after-host-crash",
            "reboot|write-through",
            "what to do when a crash of the server's host may have lost acknowledged writes");
    private final Argument noSshKeys = arguments.flag("--no-ssh-keys", "remove its own keys");

    Change() {
      super(
          "Changes what is known about a machine",
          "",
          "Options that are not given change nothing. NICs, BMC, address and",
          "--after-host-crash change only while the node is free. Keys count from the next",
          "provision.");
    }

    @Override
    protected void run() {
      ObjectNode request = api().object();
      putIfGiven(request, "name", newName);
      if (!macs.all().isEmpty()) {
        ArrayNode nics = request.putArray("nics");
        macs.all().forEach(mac -> nics.addObject().put("mac", mac));
      }
      putIfGiven(request, "bmc", bmc);
      putIfGiven(request, "firmware", firmware);
      putIfGiven(request, "arch", arch);
      putIfGiven(request, "afterHostCrash", afterHostCrash);
      if ("none".equals(address.orNull())) {
        request.putNull("address");
      } else {
        putIfGiven(request, "address", address);
      }
      if (noSshKeys.isSet() && !sshKeys.all().isEmpty()) {
        throw new CommandFailure(
            "--no-ssh-keys and --ssh-key exclude each other",
            "Give only --ssh-key: the keys given replace those that the node has.");
      }
      if (noSshKeys.isSet()) {
        request.putArray("sshKeys");
      }
      PublicKeys.putInto(request, sshKeys);
      if (request.isEmpty()) {
        throw new CommandFailure(
            "nothing to change on node " + name.text(),
            "Give at least one option; see: m2 node set --help");
      }
      JsonNode node = api().patch(request, NODE, name.text()).body();
      if (wantsJson()) {
        printJson(node);
      } else {
        Show.print(this, node);
      }
    }
  }

  static final class ListAll extends ServerCommand {
    private final Argument unknown =
        arguments.flag(
            "--unknown", "list machines that asked for a boot script and are no nodes yet");

    ListAll() {
      super("Lists nodes");
    }

    @Override
    protected void run() {
      List<JsonNode> items = api().list(unknown.isSet() ? "/v1/machines" : "/v1/nodes");
      if (wantsJson()) {
        printJson(items);
      } else if (unknown.isSet()) {
        printMachines(items);
      } else {
        table(items)
            .print(
                out(),
                "There are no nodes. Add one with: m2 node add NAME --mac MAC; or try: m2 lab up");
      }
    }

    private void printMachines(List<JsonNode> machines) {
      Table table = new Table("MAC", "ADDRESS", ">SEEN");
      Instant now = Instant.now();
      machines.forEach(m ->
          table.row(
              Table.cell(m.path("mac")),
              Table.cell(m.path("address")),
              Times.age(m.path("seenAt"), now)));
      table.print(out(), "No unknown machine has asked for a boot script.");
    }
  }

  static Table table(List<JsonNode> nodes) {
    Table table = new Table("NAME", "STATE", "POWER", "DISK", "MAC", "FIRMWARE", "BMC", ">AGE");
    Instant now = Instant.now();
    for (JsonNode node : nodes) {
      table.row(
          Table.cell(node.path("name")),
          Table.cell(node.path("state")) + (node.has("reboot") ? ", must reboot" : ""),
          Table.cell(node.path("power")),
          Table.cell(node.path("disk")),
          Table.cell(node.path("nics").path(0).path("mac")),
          Table.cell(node.path("firmware")),
          Table.cell(node.path("bmc")),
          Times.age(node.path("createdAt"), now));
    }
    return table;
  }

  static final class Show extends ServerCommand {
    private final Argument name = arguments.parameter("NODE", "");

    Show() {
      super("Shows a node and draws its latest boot");
    }

    @Override
    protected void run() {
      JsonNode node = api().get(NODE, name.text());
      if (wantsJson()) {
        printJson(node);
      } else {
        print(this, node);
      }
    }

    static void print(ServerCommand command, JsonNode node) {
      List<String> macs = new ArrayList<>();
      node.path("nics").forEach(nic -> macs.add(Table.cell(nic.path("mac"))));
      Details.of(command.out(), node)
          .text("id")
          .text("project")
          .text("state")
          .line("reboot", reboot(node))
          .text("power")
          .text("disk")
          .line("nics", macs.isEmpty() ? "-" : String.join(", ", macs))
          .text("firmware")
          .text("arch")
          .text("bmc")
          .text("address")
          .line("ssh keys", keys(node.path("sshKeys")))
          .text("afterHostCrash", "host crash")
          .text("operation")
          .time("createdAt", "created");
      if (!node.path("bootTimeline").isEmpty()) {
        command.out().println();
        BootTimeline.print(command.out(), node);
      }
    }
  }

  private static String reboot(JsonNode node) {
    JsonNode reboot = node.path("reboot");
    return reboot.isObject()
        ? "needed since "
            + Table.cell(reboot.path("since"))
            + ": "
            + Table.cell(reboot.path("reason"))
            + " See: m2 node explain "
            + Table.cell(node.path("name"))
        : "-";
  }

  /** Type and comment of each: the key itself is too long for a line. */
  private static String keys(JsonNode keys) {
    List<String> names = new ArrayList<>();
    for (JsonNode key : keys) {
      String[] parts = key.asText().split(" ", 3);
      names.add(parts.length == 3 ? parts[0] + " " + parts[2] : parts[0]);
    }
    return names.isEmpty() ? "-" : String.join(", ", names);
  }

  static final class Power extends LongCommand {
    private final Argument name = arguments.parameter("NODE", "");
    private final Argument action =
        arguments.parameter("ACTION", "status", "status (the default), on, off or cycle");

    Power() {
      super("Shows whether a machine is on, or switches it");
    }

    @Override
    protected void run() {
      String wanted = action.oneOf("status", "on", "off", "cycle");
      if (wanted.equals("status")) {
        print(power());
        return;
      }
      conclude(
          api().post(api().object().put("action", wanted), NODE + "/power", name.text()),
          this::power,
          this::printState);
    }

    private JsonNode power() {
      return api().get(NODE + "/power", name.text());
    }

    private void print(JsonNode power) {
      if (wantsJson()) {
        printJson(power);
      } else {
        printState(power);
      }
    }

    private void printState(JsonNode power) {
      out().println("node " + name.text() + " is " + Table.cell(power.path("power")));
    }
  }

  static final class Console extends ServerCommand {
    private final Argument name = arguments.parameter("NODE", "");
    private final Argument follow = arguments.flag("-f --follow", "print what comes from now on");
    private final Argument tailBytes =
        arguments.option(
            "--tail", "BYTES", "65536", "how much of what came before (default 65536)");
    private final Argument text =
        arguments.option("--type", "TEXT", "type this line into it instead");

    Console() {
      super("Shows a node's serial console", "", "End following with Ctrl-C.");
    }

    @Override
    protected void run() {
      if (text.orNull() != null) {
        api()
            .postText(
                (text.text() + "\n").getBytes(StandardCharsets.UTF_8),
                NODE + "/console",
                name.text());
        return;
      }
      api().stream(
          new WriterStream(),
          NODE + "/console?follow={}&tailBytes={}",
          name.text(),
          Boolean.toString(follow.isSet()),
          Long.toString(tailBytes.number(0, 1 << 20)));
    }

    /** A console's bytes are the machine's own and pass as they are. */
    private final class WriterStream extends FilterOutputStream {
      WriterStream() {
        super(OutputStream.nullOutputStream());
      }

      @Override
      public void write(byte[] bytes, int offset, int length) throws IOException {
        out().write(new String(bytes, offset, length, StandardCharsets.UTF_8));
        out().flush();
        if (out().checkError()) {
          throw new IOException("standard output is closed");
        }
      }
    }
  }

  static final class Explain extends ServerCommand {
    private final Argument name = arguments.parameter("NODE", "");

    Explain() {
      super("Says where a boot stopped, why, and what to do");
    }

    @Override
    protected void run() {
      JsonNode explanation = api().get(NODE + "/explain", name.text());
      if (wantsJson()) {
        printJson(explanation);
        return;
      }
      out().println(Table.cell(explanation.path("summary")));
      Details.fields(out(), explanation).text("reached").text("missing").text("cause").text("fix");
    }
  }

  static final class Delete extends ServerCommand {
    private final Argument name = arguments.parameter("NODE", "");

    Delete() {
      super("Forgets a node that is not provisioned");
    }

    @Override
    protected void run() {
      api().delete(NODE, name.text());
      if (!wantsJson()) {
        out().println("node " + name.text() + " is forgotten");
      }
    }
  }
}
