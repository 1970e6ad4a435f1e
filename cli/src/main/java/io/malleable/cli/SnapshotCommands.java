package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code m2 snapshot}. */
@Command(
    name = "snapshot",
    mixinStandardHelpOptions = true,
    description = "Immutable points in time of disks",
    subcommands = {
      SnapshotCommands.Create.class,
      SnapshotCommands.ListAll.class,
      SnapshotCommands.Show.class,
      SnapshotCommands.Promote.class,
      SnapshotCommands.Delete.class
    })
final class SnapshotCommands {
  private static final String SNAPSHOT = "/v1/snapshots/{}";

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Keeps what a disk holds now, also while it is in use")
  static final class Create extends LongCommand {
    @Parameters(paramLabel = "NAME", description = "of the new snapshot")
    private String name;

    @Option(names = "--disk", paramLabel = "DISK", required = true)
    private String disk;

    @Override
    protected void run() {
      conclude(
          api().post(api().object().put("name", name).put("disk", disk), "/v1/snapshots"),
          () -> api().get(SNAPSHOT, name),
          _ -> out().println("snapshot " + name + " of disk " + disk + " is taken"));
    }
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "Lists snapshots")
  static final class ListAll extends ApiCommand {
    @Option(names = "--disk", paramLabel = "DISK", description = "only those of this disk")
    private @Nullable String disk;

    @Override
    protected void run() {
      var snapshots =
          disk == null ? api().list("/v1/snapshots") : api().list("/v1/snapshots?disk={}", disk);
      if (wantsJson()) {
        printJson(snapshots);
        return;
      }
      Table table = new Table("NAME", "STATE", ">SIZE", ">OWN", "DISK", ">AGE");
      Instant now = Instant.now();
      for (JsonNode snapshot : snapshots) {
        table.row(
            Table.cell(snapshot.path("name")),
            Table.cell(snapshot.path("state")),
            Table.size(snapshot.path("sizeBytes")),
            Table.size(snapshot.path("allocatedBytes")),
            Table.cell(snapshot.path("disk")),
            Times.age(snapshot.path("createdAt"), now));
      }
      table.print(
          out(), "There are no snapshots. Take one with: m2 snapshot create NAME --disk DISK");
    }
  }

  @Command(name = "show", mixinStandardHelpOptions = true, description = "Shows a snapshot")
  static final class Show extends ApiCommand {
    @Parameters(paramLabel = "SNAPSHOT")
    private String name;

    @Override
    protected void run() {
      JsonNode snapshot = api().get(SNAPSHOT, name);
      if (wantsJson()) {
        printJson(snapshot);
        return;
      }
      Details.of(out(), snapshot)
          .text("id")
          .text("project")
          .text("state")
          .size("sizeBytes", "size")
          .size("allocatedBytes", "own")
          .text("disk")
          .time("createdAt", "created");
    }
  }

  @Command(
      name = "promote",
      mixinStandardHelpOptions = true,
      description = "Makes a golden image of a snapshot, in constant time")
  static final class Promote extends LongCommand {
    @Parameters(paramLabel = "SNAPSHOT")
    private String name;

    @Option(
        names = "--image",
        paramLabel = "NAME",
        required = true,
        description = "of the new image")
    private String image;

    @Option(names = "--public", description = "let every project use it")
    private boolean shared;

    @Override
    protected void run() {
      conclude(
          api()
              .post(
                  api().object().put("name", image).put("public", shared),
                  SNAPSHOT + "/promote",
                  name),
          () -> api().get("/v1/images/{}", image),
          _ -> out().println("image " + image + " is made of snapshot " + name));
    }
  }

  @Command(name = "delete", mixinStandardHelpOptions = true, description = "Deletes a snapshot")
  static final class Delete extends LongCommand {
    @Parameters(paramLabel = "SNAPSHOT")
    private String name;

    @Override
    protected void run() {
      conclude(
          api().delete(SNAPSHOT, name),
          api()::nothing,
          _ -> out().println("snapshot " + name + " is deleted"));
    }
  }
}
