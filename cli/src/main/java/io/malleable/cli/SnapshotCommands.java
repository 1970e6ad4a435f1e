package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 snapshot}. */
final class SnapshotCommands {
  private static final String SNAPSHOT = "/v1/snapshots/{}";

  private SnapshotCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("snapshot", () -> new Noun("Immutable points in time of disks"));
    commands.put("snapshot create", Create::new);
    commands.put("snapshot list", ListAll::new);
    commands.put("snapshot show", Show::new);
    commands.put("snapshot promote", Promote::new);
    commands.put("snapshot delete", Delete::new);
  }

  static final class Create extends LongCommand {
    private final Argument name = arguments.parameter("NAME", "of the new snapshot");
    private final Argument disk = arguments.requiredOption("--disk", "DISK", "");

    Create() {
      super("Keeps what a disk holds now, also while it is in use");
    }

    @Override
    protected void run() {
      conclude(
          api()
              .post(
                  api().object().put("name", name.text()).put("disk", disk.text()),
                  "/v1/snapshots"),
          () -> api().get(SNAPSHOT, name.text()),
          _ -> out().println("snapshot " + name.text() + " of disk " + disk.text() + " is taken"));
    }
  }

  static final class ListAll extends ServerCommand {
    private final Argument disk = arguments.option("--disk", "DISK", "only those of this disk");

    ListAll() {
      super("Lists snapshots");
    }

    @Override
    protected void run() {
      var snapshots =
          disk.orNull() == null
              ? api().list("/v1/snapshots")
              : api().list("/v1/snapshots?disk={}", disk.text());
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
      StoreFault.note(out(), snapshots);
    }
  }

  static final class Show extends ServerCommand {
    private final Argument name = arguments.parameter("SNAPSHOT", "");

    Show() {
      super("Shows a snapshot");
    }

    @Override
    protected void run() {
      JsonNode snapshot = api().get(SNAPSHOT, name.text());
      if (wantsJson()) {
        printJson(snapshot);
        return;
      }
      Details.of(out(), snapshot)
          .text("id")
          .text("project")
          .text("state")
          .text("damage")
          .line("fault", StoreFault.ofVolume(snapshot))
          .size("sizeBytes", "size")
          .line("own", StoreFault.occupied(snapshot))
          .text("disk")
          .line("lineage", Lineage.text(snapshot))
          .time("createdAt", "created");
    }
  }

  static final class Promote extends LongCommand {
    private final Argument name = arguments.parameter("SNAPSHOT", "");
    private final Argument image = arguments.requiredOption("--image", "NAME", "of the new image");
    private final Argument shared = arguments.flag("--public", "let every project use it");

    Promote() {
      super("Makes a golden image of a snapshot, in constant time");
    }

    @Override
    protected void run() {
      conclude(
          api()
              .post(
                  api().object().put("name", image.text()).put("public", shared.isSet()),
                  SNAPSHOT + "/promote",
                  name.text()),
          () -> api().get("/v1/images/{}", image.text()),
          _ -> out().println("image " + image.text() + " is made of snapshot " + name.text()));
    }
  }

  static final class Delete extends LongCommand {
    private final Argument name = arguments.parameter("SNAPSHOT", "");

    Delete() {
      super("Deletes a snapshot");
    }

    @Override
    protected void run() {
      conclude(
          api().delete(SNAPSHOT, name.text()),
          api()::nothing,
          _ -> out().println("snapshot " + name.text() + " is deleted"));
    }
  }
}
