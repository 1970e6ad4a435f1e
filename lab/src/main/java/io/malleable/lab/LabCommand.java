package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiCommand;
import io.malleable.cli.Table;
import io.malleable.hardware.Firmware;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code m2 lab}: virtual servers for a desk without a rack. */
@Command(
    name = "lab",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      LabCommand.Up.class,
      LabCommand.Down.class,
      LabCommand.Show.class,
      DemoCommand.class
    },
    description = "Virtual servers: diskless QEMU machines that boot like real ones")
public final class LabCommand {
  private static final int MAX_MACHINES = 64;

  @Command(
      name = "up",
      mixinStandardHelpOptions = true,
      description = "Adds virtual servers as nodes; they are powered on when they are provisioned",
      footer = {
        "",
        "Machines that exist already get the firmware and memory given here at their next power-on.",
        "Needs neither privileges nor KVM. Debian packages: qemu-system-x86 ipxe-qemu ovmf"
      })
  static final class Up extends ApiCommand {
    @Option(
        names = "--nodes",
        paramLabel = "N",
        defaultValue = "1",
        description = "how many (default ${DEFAULT-VALUE})")
    private int nodes;

    @Option(
        names = "--prefix",
        paramLabel = "NAME",
        defaultValue = "lab-",
        description = "they are called NAME1, NAME2, ... (default ${DEFAULT-VALUE})")
    private String prefix;

    @Option(
        names = "--firmware",
        paramLabel = "FIRMWARE",
        defaultValue = "bios",
        description = "bios or uefi (default ${DEFAULT-VALUE})")
    private Firmware firmware;

    @Option(
        names = "--memory",
        paramLabel = "MIB",
        defaultValue = "512",
        description = "memory of each in MiB (default ${DEFAULT-VALUE})")
    private int memoryMiB;

    @Override
    protected void run() {
      if (nodes < 1 || nodes > MAX_MACHINES) {
        throw misused("--nodes is " + nodes + "; give 1 to " + MAX_MACHINES);
      }
      if (memoryMiB < 64 || memoryMiB > 65_536) {
        throw misused("--memory is " + memoryMiB + "; give 64 to 65536 (MiB)");
      }
      LabMachines machines = LabMachines.of(api());
      List<JsonNode> added = new ArrayList<>();
      for (int i = 1; i <= nodes; i++) {
        String name = prefix + i;
        boolean isNew = machines.add(name, firmware, memoryMiB);
        if (wantsJson()) {
          added.add(api().get("/v1/nodes/{}", name));
        } else {
          out().println("node " + name + (isNew ? " is added" : " was there; it is defined anew"));
        }
      }
      if (wantsJson()) {
        printJson(added);
      } else {
        out().println("Boot one with: m2 node provision " + prefix + "1 --image IMAGE");
      }
    }
  }

  @Command(
      name = "down",
      mixinStandardHelpOptions = true,
      description = "Switches virtual servers off and removes them; their disks are kept")
  static final class Down extends ApiCommand {
    @Parameters(paramLabel = "NAME", arity = "0..*", description = "which; all when none is named")
    private List<String> names = new ArrayList<>();

    @Override
    protected void run() {
      LabMachines machines = LabMachines.of(api());
      List<String> removed =
          names.isEmpty()
              ? machines.list().stream().map(node -> node.path("name").asText()).toList()
              : names;
      for (String name : removed) {
        machines.remove(name, terminal(), err());
        if (!wantsJson()) {
          out().println("node " + name + " is removed");
        }
      }
      if (wantsJson()) {
        printJson(
            removed.stream().map(name -> (JsonNode) api().object().put("name", name)).toList());
      } else if (removed.isEmpty()) {
        out().println("The lab has no machines.");
      }
    }
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "Lists virtual servers")
  static final class Show extends ApiCommand {
    @Override
    protected void run() {
      List<JsonNode> nodes = LabMachines.of(api()).list();
      if (wantsJson()) {
        printJson(nodes);
        return;
      }
      Table table = new Table("NAME", "STATE", "POWER", "FIRMWARE", "MAC", "DISK");
      for (JsonNode node : nodes) {
        table.row(
            Table.cell(node.path("name")),
            Table.cell(node.path("state")),
            Table.cell(node.path("power")),
            Table.cell(node.path("firmware")),
            Table.cell(node.path("nics").path(0).path("mac")),
            Table.cell(node.path("disk")));
      }
      table.print(out(), "The lab has no machines. Add some with: m2 lab up --nodes 2");
    }
  }
}
