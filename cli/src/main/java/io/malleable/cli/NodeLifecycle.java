package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;

/** The commands that bind nodes and disks. */
final class NodeLifecycle {

  private NodeLifecycle() {}

  static final class Provision extends LongCommand {
    private final Argument name = arguments.parameter("NODE", "");
    private final Argument image =
        arguments.option("--image", "IMAGE", "boot a new disk cloned from this image");
    private final Argument snapshot =
        arguments.option("--snapshot", "SNAPSHOT", "boot a new disk cloned from this snapshot");
    private final Argument disk = arguments.option("--disk", "DISK", "boot this disk");
    private final Argument sshKeys =
        arguments.optionalRepeatedOption("--ssh-key", "FILE", NodeCommands.SSH_KEY);

    Provision() {
      super(
          "Gives a machine a drive and boots it",
          "",
          "Waits until the operating system has found its drive. See also: m2 node explain");
    }

    @Override
    protected void run() {
      Argument drive = exactlyOne(image, snapshot, disk);
      String field = drive == image ? "image" : drive == snapshot ? "snapshot" : "disk";
      ObjectNode request = api().object().put(field, drive.text());
      PublicKeys.putInto(request, sshKeys);
      conclude(
          api().post(request, NodeCommands.NODE + "/provision", name.text()),
          () -> api().get(NodeCommands.NODE, name.text()),
          this::print);
    }

    private void print(JsonNode node) {
      Duration up = BootTimeline.until(node, "ready");
      up = up == null ? BootTimeline.until(node, "os-login") : up;
      out()
          .println(
              "node "
                  + name.text()
                  + " runs from disk "
                  + Table.cell(node.path("disk"))
                  + (up == null ? "" : ", up after " + Times.exact(up)));
      BootTimeline.print(out(), node);
    }
  }

  static final class Release extends LongCommand {
    private final Argument name = arguments.parameter("NODE", "");
    private final Argument deleteDisk =
        arguments.flag("--delete-disk", "put the disk into the trash as well");

    Release() {
      super("Switches a machine off and takes its drive away; the disk is kept");
    }

    @Override
    protected void run() {
      String disk = Table.cell(api().get(NodeCommands.NODE, name.text()).path("disk"));
      conclude(
          api()
              .post(
                  api().object().put("deleteDisk", deleteDisk.isSet()),
                  NodeCommands.NODE + "/release",
                  name.text()),
          () -> api().get(NodeCommands.NODE, name.text()),
          _ ->
              out()
                  .println(
                      "node "
                          + name.text()
                          + " is released; its disk "
                          + disk
                          + (deleteDisk.isSet() ? " is in the trash" : " is kept")
                          + "; to undo it: "
                          + (deleteDisk.isSet() ? "m2 disk undelete " + disk + " && " : "")
                          + "m2 node provision "
                          + name.text()
                          + " --disk "
                          + disk));
    }
  }

  static final class Failover extends LongCommand {
    private final Argument name = arguments.parameter("NODE", "");
    private final Argument other =
        arguments.requiredOption("--to", "OTHER", "the node that takes over");

    Failover() {
      super("Moves the drive of a dead machine to another, after cutting the first one off");
    }

    @Override
    protected void run() {
      conclude(
          api()
              .post(
                  api().object().put("to", other.text()),
                  NodeCommands.NODE + "/failover",
                  name.text()),
          () -> api().get(NodeCommands.NODE, other.text()),
          node -> {
            out()
                .println(
                    "node "
                        + other.text()
                        + " runs from disk "
                        + Table.cell(node.path("disk"))
                        + ", node "
                        + name.text()
                        + " is cut off");
            BootTimeline.print(out(), node);
          });
    }
  }
}
