package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** {@code m2 disk}. */
final class DiskCommands {
  private static final String DISK = "/v1/disks/{}";

  private DiskCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("disk", () -> new Noun("Writable copy-on-write clones of images and snapshots"));
    commands.put("disk create", Create::new);
    commands.put("disk list", ListAll::new);
    commands.put("disk show", Show::new);
    commands.put("disk expose", Expose::new);
    commands.put("disk withdraw", Withdraw::new);
    commands.put("disk reservations", Reservations::new);
    commands.put("disk resize", Resize::new);
    commands.put("disk rollback", Rollback::new);
    commands.put("disk flatten", Flatten::new);
    commands.put("disk delete", Delete::new);
    commands.put("disk undelete", Undelete::new);
  }

  /** One named disk and something that is done to it. */
  abstract static class OneDisk extends LongCommand {
    final Argument name = arguments.parameter("DISK", "");

    OneDisk(String description, String... footer) {
      super(description, footer);
    }

    final JsonNode disk() {
      return api().get(DISK, name.text());
    }

    /** POSTs the action and prints the sentence. */
    final void act(@Nullable ObjectNode body, String action, String done) {
      conclude(
          api().post(body, DISK + action, name.text()),
          this::disk,
          _ -> out().println("disk " + name.text() + done));
    }
  }

  static final class Create extends LongCommand {
    private final Argument name = arguments.parameter("NAME", "of the new disk");
    private final Argument image = arguments.option("--image", "IMAGE", "clone this image");
    private final Argument snapshot =
        arguments.option("--snapshot", "SNAPSHOT", "clone this snapshot");

    Create() {
      super("Clones an image or a snapshot, in constant time");
    }

    private final Argument size =
        arguments.option(
            "--size", "SIZE", "such as 20G; at least the size of what is cloned, the default");

    @Override
    protected void run() {
      ObjectNode request = api().object().put("name", name.text());
      Argument origin = exactlyOne(image, snapshot);
      request.put(origin == image ? "image" : "snapshot", origin.text());
      if (size.orNull() != null) {
        request.put("sizeBytes", Sizes.parse("--size", size.text()));
      }
      conclude(
          api().post(request, "/v1/disks"),
          () -> api().get(DISK, name.text()),
          disk ->
              out()
                  .println(
                      "disk "
                          + name.text()
                          + " is created: "
                          + Table.size(disk.path("sizeBytes"))
                          + " from "
                          + Table.cell(disk.path("parent"))));
    }
  }

  static final class ListAll extends ServerCommand {
    private final Argument deleted = arguments.flag("--deleted", "list the trash instead");

    ListAll() {
      super("Lists disks");
    }

    @Override
    protected void run() {
      var disks = api().list(deleted.isSet() ? "/v1/disks?deleted=true" : "/v1/disks");
      if (wantsJson()) {
        printJson(disks);
      } else if (deleted.isSet()) {
        printTrash(disks);
      } else {
        print(disks);
      }
    }

    /** With ids, because several of one name may lie there. */
    private void printTrash(List<JsonNode> disks) {
      Table table =
          new Table("NAME", "STATE", ">SIZE", ">OWN", "PARENT", "DELETED", "PURGED", "ID");
      Instant now = Instant.now();
      for (JsonNode disk : disks) {
        table.row(
            Table.cell(disk.path("name")),
            Table.cell(disk.path("state")) + (disk.has("damage") ? ", damaged" : ""),
            Table.size(disk.path("sizeBytes")),
            Table.size(disk.path("allocatedBytes")),
            Table.cell(disk.path("parent")),
            Times.past(disk.path("deletedAt"), now),
            Times.future(disk.path("purgeAt"), now),
            Table.cell(disk.path("id")));
      }
      table.print(out(), "The trash is empty.");
      StoreFault.note(out(), disks);
    }

    private void print(List<JsonNode> disks) {
      Table table = new Table("NAME", "STATE", ">SIZE", ">OWN", "PARENT", "NODE", ">AGE");
      Instant now = Instant.now();
      for (JsonNode disk : disks) {
        table.row(
            Table.cell(disk.path("name")),
            Table.cell(disk.path("state")),
            Table.size(disk.path("sizeBytes")),
            Table.size(disk.path("allocatedBytes")),
            Table.cell(disk.path("parent")),
            Table.cell(disk.path("node")),
            Times.age(disk.path("createdAt"), now));
      }
      table.print(out(), "There are no disks. Create one with: m2 disk create NAME --image IMAGE");
      StoreFault.note(out(), disks);
    }
  }

  static final class Show extends ServerCommand {
    private final Argument name = arguments.parameter("DISK", "");

    Show() {
      super("Shows a disk, and how to reach it while it is exposed");
    }

    @Override
    protected void run() {
      JsonNode disk = api().get(DISK, name.text());
      if (wantsJson()) {
        printJson(disk);
        return;
      }
      Details.of(out(), disk)
          .text("id")
          .text("project")
          .text("state")
          .text("damage")
          .line("fault", StoreFault.ofVolume(disk))
          .size("sizeBytes", "size")
          .line("own", StoreFault.occupied(disk))
          .text("parent")
          .line("lineage", Lineage.text(disk))
          .text("node")
          .line("writes lost", Expose.writesLost(disk))
          .line("writes refused", refused(disk.path("writesRefused")))
          .time("createdAt", "created")
          .time("deletedAt", "deleted");
      Expose.printTarget(this, disk);
    }

    private static String refused(JsonNode refusal) {
      return refusal.isMissingNode()
          ? "-"
          : "since %s: %s"
              .formatted(Table.cell(refusal.path("since")), Table.cell(refusal.path("reason")));
    }
  }

  static final class Expose extends OneDisk {
    private final Argument writeCache =
        arguments.flag(
            "--write-cache",
            "acknowledge writes before they are durable; the secret changes when a crash of the"
                + " server's host may have lost some");

    Expose() {
      super(
          "Opens an iSCSI target for a disk without a node",
          "",
          "Only -o json prints the secret, if any (iscsi.username, iscsi.password).");
    }

    @Override
    protected void run() {
      conclude(
          api()
              .post(
                  writeCache.isSet() ? api().object().put("writeCache", true) : null,
                  DISK + "/expose",
                  name.text()),
          this::disk,
          disk -> {
            out().println("disk " + name.text() + " is exposed");
            printTarget(this, disk);
          });
    }

    private static String writeCache(JsonNode disk) {
      JsonNode cache = disk.path("writeCache");
      return cache.isMissingNode() ? "-" : cache.asBoolean() ? "on" : "off";
    }

    static String writesLost(JsonNode disk) {
      JsonNode lost = disk.path("writesLost");
      return lost.isObject()
          ? "since "
              + Table.cell(lost.path("since"))
              + ": "
              + Table.cell(lost.path("reason"))
              + " Unmount it where it was in use, then log in anew with the secret that -o json shows."
          : "-";
    }

    static void printTarget(ServerCommand command, JsonNode disk) {
      JsonNode iscsi = disk.path("iscsi");
      if (iscsi.isObject()) {
        String secret = iscsi.has("password") ? " (see -o json for the secret)" : "-";
        Details.of(command.out(), iscsi)
            .text("url")
            .text("target")
            .text("portal")
            .text("lun")
            .text("initiator")
            .line("write cache", writeCache(disk))
            .line(
                "username", secret.equals("-") ? "-" : Table.cell(iscsi.path("username")) + secret);
      }
    }
  }

  static final class Withdraw extends OneDisk {
    Withdraw() {
      super("Takes the target away; its sessions are cut");
    }

    @Override
    protected void run() {
      act(null, "/withdraw", " is withdrawn");
    }
  }

  static final class Reservations extends ServerCommand {
    private static final String RESERVATIONS = DISK + "/reservations";

    private final Argument name = arguments.parameter("DISK", "");
    private final Argument clear =
        arguments.flag("--clear", "end them all, whoever holds them: for when the holder is gone");

    Reservations() {
      super(
          "Shows the persistent reservations that machines have made on a disk",
          "",
          "They end by themselves when the disk is withdrawn, rolled back, moved or deleted.");
    }

    @Override
    protected void run() {
      if (clear.isSet()) {
        api().delete(RESERVATIONS, name.text());
      }
      JsonNode reservations = api().get(RESERVATIONS, name.text());
      if (wantsJson()) {
        printJson(reservations);
      } else if (clear.isSet()) {
        out().println("disk " + name.text() + " has no persistent reservations any more");
      } else {
        print(reservations);
      }
    }

    private void print(JsonNode reservations) {
      Details.fields(out(), reservations)
          .text("type")
          .text("scope")
          .line("restart", reservations.path("persistent").asBoolean() ? "outlived" : "-");
      Table table = new Table("INITIATOR", "PORT", "KEY", "HOLDER");
      for (JsonNode registrant : reservations.path("registrants")) {
        table.row(
            Table.cell(registrant.path("initiator")),
            Table.cell(registrant.path("port")),
            Table.cell(registrant.path("key")),
            registrant.path("holder").asBoolean() ? "yes" : "-");
      }
      table.print(out(), "The disk " + name.text() + " has no persistent reservations.");
    }
  }

  static final class Resize extends OneDisk {
    private final Argument size = arguments.parameter("SIZE", "such as 20G");

    Resize() {
      super("Makes a disk larger");
    }

    @Override
    protected void run() {
      ObjectNode request = api().object().put("sizeBytes", Sizes.parse("SIZE", size.text()));
      conclude(
          api().patch(request, DISK, name.text()),
          this::disk,
          disk ->
              out().println("disk " + name.text() + " has " + Table.size(disk.path("sizeBytes"))));
    }
  }

  static final class Rollback extends OneDisk {
    private final Argument snapshot =
        arguments.requiredOption("--snapshot", "SNAPSHOT", "whose content it gets");

    Rollback() {
      super("Gives a disk the content of one of its snapshots again");
    }

    @Override
    protected void run() {
      act(
          api().object().put("snapshot", snapshot.text()),
          "/rollback",
          " is as it was at snapshot " + snapshot.text());
    }
  }

  static final class Flatten extends OneDisk {
    Flatten() {
      super("Copies what a disk shares with its parents into it");
    }

    @Override
    protected void run() {
      act(null, "/flatten", " shares nothing any more");
    }
  }

  static final class Delete extends OneDisk {
    Delete() {
      super("Puts a disk into the trash");
    }

    private final Argument purge =
        arguments.flag("--purge", "free its space now; nothing brings it back");

    @Override
    protected void run() {
      String path = purge.isSet() ? DISK + "?purge=true" : DISK;
      String done =
          purge.isSet()
              ? " is gone"
              : " is in the trash; bring it back with: m2 disk undelete " + name.text();
      conclude(
          api().delete(path, name.text()),
          api()::nothing,
          _ -> out().println("disk " + name.text() + done));
    }
  }

  static final class Undelete extends OneDisk {
    private final Argument newName =
        arguments.option("--name", "NAME", "a new name, when the old one was taken meanwhile");

    Undelete() {
      super("Brings a disk back from the trash");
    }

    @Override
    protected void run() {
      String asked = newName.orNull();
      act(
          asked == null ? null : api().object().put("name", asked),
          "/undelete",
          asked == null ? " is back" : " is back as " + asked);
    }
  }
}
