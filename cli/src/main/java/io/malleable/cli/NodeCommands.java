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
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code m2 node}. */
@Command(
    name = "node",
    mixinStandardHelpOptions = true,
    description = "Machines that boot their drives over the network",
    subcommands = {
      NodeCommands.Add.class,
      NodeCommands.ListAll.class,
      NodeCommands.Show.class,
      NodeLifecycle.Provision.class,
      NodeLifecycle.Release.class,
      NodeLifecycle.Failover.class,
      NodeCommands.Power.class,
      NodeCommands.Console.class,
      NodeCommands.Explain.class,
      NodeCommands.Delete.class
    })
final class NodeCommands {
  static final String NODE = "/v1/nodes/{}";

  @Command(
      name = "add",
      mixinStandardHelpOptions = true,
      description = "Makes a machine known",
      footer = {
        "",
        "The BMC's password is not given here: see the server's configuration.",
        "A machine without a BMC is switched on by hand; provision then waits for it to appear."
      })
  static final class Add extends ApiCommand {
    @Parameters(paramLabel = "NAME", description = "of the new node")
    private String name;

    @Option(
        names = "--mac",
        paramLabel = "MAC",
        required = true,
        description = "of the NIC that boots; repeat it for further NICs")
    private List<String> macs = new ArrayList<>();

    @Option(
        names = "--bmc",
        paramLabel = "URL",
        description = "how to switch it: ipmi://USER@HOST, redfish://USER@HOST, qemu:NAME")
    private @Nullable String bmc;

    @Option(
        names = "--firmware",
        paramLabel = "bios|uefi",
        description = "how it boots (default: bios)")
    private @Nullable String firmware;

    @Option(
        names = "--arch",
        paramLabel = "ARCH",
        description = "of its processor (default: x86_64)")
    private @Nullable String arch;

    @Override
    protected void run() {
      ObjectNode request = api().object().put("name", name);
      ArrayNode nics = request.putArray("nics");
      macs.forEach(mac -> nics.addObject().put("mac", mac));
      putIfGiven(request, "bmc", bmc);
      putIfGiven(request, "firmware", firmware);
      putIfGiven(request, "arch", arch);
      JsonNode node = api().post(request, "/v1/nodes").body();
      if (wantsJson()) {
        printJson(node);
      } else {
        out()
            .println(
                "node "
                    + name
                    + " is added; boot it with: m2 node provision "
                    + name
                    + " --image IMAGE");
      }
    }

    private static void putIfGiven(ObjectNode request, String field, @Nullable String value) {
      if (value != null) {
        request.put(field, value);
      }
    }
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "Lists nodes")
  static final class ListAll extends ApiCommand {
    @Option(
        names = "--unknown",
        description = "machines that asked for a boot script and are no node yet, instead")
    private boolean unknown;

    @Override
    protected void run() {
      List<JsonNode> items = api().list(unknown ? "/v1/machines" : "/v1/nodes");
      if (wantsJson()) {
        printJson(items);
      } else if (unknown) {
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
          Table.cell(node.path("state")),
          Table.cell(node.path("power")),
          Table.cell(node.path("disk")),
          Table.cell(node.path("nics").path(0).path("mac")),
          Table.cell(node.path("firmware")),
          Table.cell(node.path("bmc")),
          Times.age(node.path("createdAt"), now));
    }
    return table;
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Shows a node and draws its latest boot")
  static final class Show extends ApiCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @Override
    protected void run() {
      JsonNode node = api().get(NODE, name);
      if (wantsJson()) {
        printJson(node);
      } else {
        print(this, node);
      }
    }

    static void print(ApiCommand command, JsonNode node) {
      List<String> macs = new ArrayList<>();
      node.path("nics").forEach(nic -> macs.add(Table.cell(nic.path("mac"))));
      Details.of(command.out(), node)
          .text("id")
          .text("project")
          .text("state")
          .text("power")
          .text("disk")
          .line("nics", macs.isEmpty() ? "-" : String.join(", ", macs))
          .text("firmware")
          .text("arch")
          .text("bmc")
          .text("operation")
          .time("createdAt", "created");
      if (!node.path("bootTimeline").isEmpty()) {
        command.out().println();
        BootTimeline.print(command.out(), node);
      }
    }
  }

  @Command(
      name = "power",
      mixinStandardHelpOptions = true,
      description = "Shows whether a machine is on, or switches it")
  static final class Power extends LongCommand {
    /** The names are what the user types. */
    enum Action {
      status,
      on,
      off,
      cycle
    }

    @Parameters(paramLabel = "NODE")
    private String name;

    @Parameters(
        paramLabel = "ACTION",
        arity = "0..1",
        defaultValue = "status",
        description = "${COMPLETION-CANDIDATES} (default: status)")
    private Action action;

    @Override
    protected void run() {
      if (action == Action.status) {
        print(power());
        return;
      }
      conclude(
          api().post(api().object().put("action", action.name()), NODE + "/power", name),
          this::power,
          this::printState);
    }

    private JsonNode power() {
      return api().get(NODE + "/power", name);
    }

    private void print(JsonNode power) {
      if (wantsJson()) {
        printJson(power);
      } else {
        printState(power);
      }
    }

    private void printState(JsonNode power) {
      out().println("node " + name + " is " + Table.cell(power.path("power")));
    }
  }

  @Command(
      name = "console",
      mixinStandardHelpOptions = true,
      description = "Shows a node's serial console",
      footer = {"", "End following with Ctrl-C."})
  static final class Console extends ApiCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @Option(
        names = {"-f", "--follow"},
        description = "go on with what comes")
    private boolean follow;

    @Option(
        names = "--tail",
        paramLabel = "BYTES",
        defaultValue = "65536",
        description = "how much of the past (default ${DEFAULT-VALUE})")
    private int tailBytes;

    @Option(names = "--type", paramLabel = "TEXT", description = "type this line into it instead")
    private @Nullable String text;

    @Override
    protected void run() {
      if (text != null) {
        api().postText((text + "\n").getBytes(StandardCharsets.UTF_8), NODE + "/console", name);
        return;
      }
      api().stream(
          new WriterStream(),
          NODE + "/console?follow={}&tailBytes={}",
          name,
          Boolean.toString(follow),
          Integer.toString(tailBytes));
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

  @Command(
      name = "explain",
      mixinStandardHelpOptions = true,
      description = "Says where a boot stopped, why, and what to do")
  static final class Explain extends ApiCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @Override
    protected void run() {
      JsonNode explanation = api().get(NODE + "/explain", name);
      if (wantsJson()) {
        printJson(explanation);
        return;
      }
      out().println(Table.cell(explanation.path("summary")));
      Details.fields(out(), explanation).text("reached").text("missing").text("cause").text("fix");
    }
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "Forgets a node that is not provisioned")
  static final class Delete extends ApiCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @Override
    protected void run() {
      api().delete(NODE, name);
      if (!wantsJson()) {
        out().println("node " + name + " is forgotten");
      }
    }
  }
}
