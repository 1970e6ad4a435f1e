package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The commands that bind nodes and disks. */
final class NodeLifecycle {

  private NodeLifecycle() {}

  /** What a node boots. */
  static final class Drive {
    @Option(
        names = "--image",
        paramLabel = "IMAGE",
        required = true,
        description = "a new disk cloned from this image")
    private @Nullable String image;

    @Option(
        names = "--snapshot",
        paramLabel = "SNAPSHOT",
        required = true,
        description = "a new disk cloned from this snapshot")
    private @Nullable String snapshot;

    @Option(names = "--disk", paramLabel = "DISK", required = true, description = "this disk")
    private @Nullable String disk;

    void addTo(ObjectNode request) {
      if (image != null) {
        request.put("image", image);
      } else if (snapshot != null) {
        request.put("snapshot", snapshot);
      } else if (disk != null) {
        request.put("disk", disk);
      }
    }
  }

  @Command(
      name = "provision",
      mixinStandardHelpOptions = true,
      description = "Gives a machine a drive and boots it",
      footer = {
        "",
        "Waits until the operating system has found its drive; see also: m2 node explain NODE"
      })
  static final class Provision extends LongCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @ArgGroup(multiplicity = "1")
    private Drive drive;

    @Override
    protected void run() {
      ObjectNode request = api().object();
      drive.addTo(request);
      conclude(
          api().post(request, NodeCommands.NODE + "/provision", name),
          () -> api().get(NodeCommands.NODE, name),
          this::print);
    }

    private void print(JsonNode node) {
      Duration up = BootTimeline.until(node, "ready");
      up = up == null ? BootTimeline.until(node, "os-login") : up;
      out()
          .println(
              "node "
                  + name
                  + " runs from disk "
                  + Table.cell(node.path("disk"))
                  + (up == null ? "" : ", up after " + Times.exact(up)));
      BootTimeline.print(out(), node);
    }
  }

  @Command(
      name = "release",
      mixinStandardHelpOptions = true,
      description = "Switches a machine off and takes its drive away; the disk is kept")
  static final class Release extends LongCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @Option(names = "--delete-disk", description = "put the disk into the trash as well")
    private boolean deleteDisk;

    @Override
    protected void run() {
      conclude(
          api()
              .post(
                  api().object().put("deleteDisk", deleteDisk),
                  NodeCommands.NODE + "/release",
                  name),
          () -> api().get(NodeCommands.NODE, name),
          _ ->
              out()
                  .println(
                      "node "
                          + name
                          + " is released; its disk is "
                          + (deleteDisk ? "in the trash" : "kept")));
    }
  }

  @Command(
      name = "failover",
      mixinStandardHelpOptions = true,
      description = "Moves the drive of a dead machine to another, after cutting the first one off")
  static final class Failover extends LongCommand {
    @Parameters(paramLabel = "NODE")
    private String name;

    @Option(
        names = "--to",
        paramLabel = "OTHER",
        required = true,
        description = "the node that takes over")
    private String other;

    @Override
    protected void run() {
      conclude(
          api().post(api().object().put("to", other), NodeCommands.NODE + "/failover", name),
          () -> api().get(NodeCommands.NODE, other),
          node -> {
            out()
                .println(
                    "node "
                        + other
                        + " runs from disk "
                        + Table.cell(node.path("disk"))
                        + ", node "
                        + name
                        + " is cut off");
            BootTimeline.print(out(), node);
          });
    }
  }
}
