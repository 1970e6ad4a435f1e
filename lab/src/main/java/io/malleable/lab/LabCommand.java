package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.Argument;
import io.malleable.cli.Noun;
import io.malleable.cli.ServerCommand;
import io.malleable.cli.Table;
import io.malleable.hardware.Firmware;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 lab}: virtual servers for a desk without a rack. */
public final class LabCommand {
  private static final int MAX_MACHINES = 64;
  private static final int MAX_RACK = 48;

  private LabCommand() {}

  /** Adds the commands of this room to those of the program. */
  public static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put(
        "lab", () -> new Noun("Virtual servers: diskless QEMU machines that boot like real ones"));
    commands.put("lab up", Up::new);
    commands.put("lab down", Down::new);
    commands.put("lab list", Show::new);
    commands.put("lab switch", SwitchCommand::new);
    commands.put("lab demo", DemoCommand::new);
    commands.put("image build", ImageBuildCommand::new);
  }

  static final class Up extends ServerCommand {
    private final Argument nodes = arguments.option("--nodes", "N", "1", "how many (default 1)");
    private final Argument prefix =
        arguments.option(
            "--prefix", "NAME", "lab-", "they are called NAME1, NAME2, ... (default lab-)");
    private final Argument firmwares =
        arguments.option(
            "--firmware",
            "FIRMWARE",
            "bios",
            "bios or uefi (default bios); of a rack also uefi-http, both or all");
    private final Argument rack =
        arguments.option(
            "--rack",
            "N",
            "instead: N servers behind BMCs on a segment of their own (m2 lab switch), until"
                + " interrupted");
    private final Argument bmcs =
        arguments.option(
            "--bmc", "KIND", "both", "of a rack: ipmi, redfish, or both in turn (default both)");
    private final Argument memory =
        arguments.option("--memory", "MIB", "512", "memory of each in MiB (default 512)");

    Up() {
      super(
          "Adds virtual servers as nodes; they are powered on when they are provisioned",
          "",
          "Machines that exist already get the firmware and memory given here at their next power-on.",
          "Needs neither privileges nor KVM. Debian packages: qemu-system-x86 ipxe-qemu ipxe ovmf",
          "A rack needs root, or one namespace for it and the server (unshare -Urnm).");
    }

    @Override
    protected void run() {
      int count = (int) nodes.number(1, MAX_MACHINES);
      int memoryMiB = (int) memory.number(64, 65_536);
      if (rack.orNull() != null) {
        RackRun.Plan plan =
            new RackRun.Plan(
                (int) rack.number(1, MAX_RACK),
                firmwares.oneOf("bios", "uefi", "uefi-http", "both", "all"),
                memoryMiB,
                bmcs.oneOf("ipmi", "redfish", "both"));
        new RackRun(api(), out()).untilInterrupted(plan);
        return;
      }
      Firmware firmware =
          Firmware.valueOf(firmwares.oneOf("bios", "uefi").toUpperCase(Locale.ROOT));
      LabMachines machines = LabMachines.of(api());
      List<JsonNode> added = new ArrayList<>();
      for (int i = 1; i <= count; i++) {
        String name = prefix.text() + i;
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
        out().println("Boot one with: m2 node provision " + prefix.text() + "1 --image IMAGE");
      }
    }
  }

  static final class Down extends ServerCommand {
    private final Argument names = arguments.parameters("NAME", "which; all when none is named");

    Down() {
      super("Switches virtual servers off and removes them; their disks are kept");
    }

    @Override
    protected void run() {
      LabMachines machines = LabMachines.of(api());
      List<String> removed =
          names.all().isEmpty()
              ? machines.list().stream().map(node -> node.path("name").asText()).toList()
              : names.all();
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

  static final class Show extends ServerCommand {
    Show() {
      super("Lists virtual servers");
    }

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
