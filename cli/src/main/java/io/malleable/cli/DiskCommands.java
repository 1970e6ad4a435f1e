package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code m2 disk}. */
@Command(
    name = "disk",
    mixinStandardHelpOptions = true,
    description = "Writable copy-on-write clones of images and snapshots",
    subcommands = {
      DiskCommands.Create.class,
      DiskCommands.ListAll.class,
      DiskCommands.Show.class,
      DiskCommands.Expose.class,
      DiskCommands.Withdraw.class,
      DiskCommands.Resize.class,
      DiskCommands.Rollback.class,
      DiskCommands.Flatten.class,
      DiskCommands.Delete.class,
      DiskCommands.Undelete.class
    })
final class DiskCommands {
  private static final String DISK = "/v1/disks/{}";

  /** One named disk and something that is done to it. */
  abstract static class OneDisk extends LongCommand {
    @Parameters(paramLabel = "DISK")
    protected String name;

    final JsonNode disk() {
      return api().get(DISK, name);
    }

    /** POSTs the action and prints the sentence. */
    final void act(@Nullable ObjectNode body, String action, String done) {
      conclude(
          api().post(body, DISK + action, name),
          this::disk,
          _ -> out().println("disk " + name + done));
    }
  }

  /** What a disk is cloned from. */
  static final class Origin {
    @Option(
        names = "--image",
        paramLabel = "IMAGE",
        required = true,
        description = "clone this image")
    private @Nullable String image;

    @Option(
        names = "--snapshot",
        paramLabel = "SNAPSHOT",
        required = true,
        description = "clone this snapshot")
    private @Nullable String snapshot;

    void addTo(ObjectNode request) {
      if (image != null) {
        request.put("image", image);
      }
      if (snapshot != null) {
        request.put("snapshot", snapshot);
      }
    }
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Clones an image or a snapshot, in constant time")
  static final class Create extends LongCommand {
    @Parameters(paramLabel = "NAME", description = "of the new disk")
    private String name;

    @ArgGroup(multiplicity = "1")
    private Origin origin;

    @Option(
        names = "--size",
        paramLabel = "SIZE",
        description = "such as 20G; at least that of what is cloned (default: the same)")
    private @Nullable String size;

    @Override
    protected void run() {
      ObjectNode request = api().object().put("name", name);
      origin.addTo(request);
      if (size != null) {
        request.put("sizeBytes", Sizes.parse("--size", size));
      }
      conclude(
          api().post(request, "/v1/disks"),
          () -> api().get(DISK, name),
          disk ->
              out()
                  .println(
                      "disk "
                          + name
                          + " is created: "
                          + Table.size(disk.path("sizeBytes"))
                          + " from "
                          + Table.cell(disk.path("parent"))));
    }
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "Lists disks")
  static final class ListAll extends ApiCommand {
    @Option(names = "--deleted", description = "those in the trash instead")
    private boolean deleted;

    @Override
    protected void run() {
      var disks = api().list(deleted ? "/v1/disks?deleted=true" : "/v1/disks");
      if (wantsJson()) {
        printJson(disks);
        return;
      }
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
      table.print(
          out(),
          deleted
              ? "The trash is empty."
              : "There are no disks. Create one with: m2 disk create NAME --image IMAGE");
    }
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Shows a disk, and how to reach it while it is exposed")
  static final class Show extends ApiCommand {
    @Parameters(paramLabel = "DISK")
    private String name;

    @Override
    protected void run() {
      JsonNode disk = api().get(DISK, name);
      if (wantsJson()) {
        printJson(disk);
        return;
      }
      Details.of(out(), disk)
          .text("id")
          .text("project")
          .text("state")
          .size("sizeBytes", "size")
          .size("allocatedBytes", "own")
          .text("parent")
          .text("node")
          .time("createdAt", "created")
          .time("deletedAt", "deleted");
      Expose.printTarget(this, disk);
    }
  }

  @Command(
      name = "expose",
      mixinStandardHelpOptions = true,
      description = "Opens an iSCSI target for a disk without a node",
      footer = {
        "",
        "The secret, if there is one, is only shown with -o json (iscsi.username, iscsi.password)."
      })
  static final class Expose extends OneDisk {
    @Override
    protected void run() {
      conclude(
          api().post(null, DISK + "/expose", name),
          this::disk,
          disk -> {
            out().println("disk " + name + " is exposed");
            printTarget(this, disk);
          });
    }

    static void printTarget(ApiCommand command, JsonNode disk) {
      JsonNode iscsi = disk.path("iscsi");
      if (iscsi.isObject()) {
        String secret = iscsi.has("password") ? " (see -o json for the secret)" : "-";
        Details.of(command.out(), iscsi)
            .text("url")
            .text("target")
            .text("portal")
            .text("lun")
            .text("initiator")
            .line(
                "username", secret.equals("-") ? "-" : Table.cell(iscsi.path("username")) + secret);
      }
    }
  }

  @Command(
      name = "withdraw",
      mixinStandardHelpOptions = true,
      description = "Takes the target away; its sessions are cut")
  static final class Withdraw extends OneDisk {
    @Override
    protected void run() {
      act(null, "/withdraw", " is withdrawn");
    }
  }

  @Command(name = "resize", mixinStandardHelpOptions = true, description = "Makes a disk larger")
  static final class Resize extends OneDisk {
    @Parameters(paramLabel = "SIZE", description = "such as 20G")
    private String size;

    @Override
    protected void run() {
      ObjectNode request = api().object().put("sizeBytes", Sizes.parse("SIZE", size));
      conclude(
          api().patch(request, DISK, name),
          this::disk,
          disk -> out().println("disk " + name + " has " + Table.size(disk.path("sizeBytes"))));
    }
  }

  @Command(
      name = "rollback",
      mixinStandardHelpOptions = true,
      description = "Gives a disk the content of one of its snapshots again")
  static final class Rollback extends OneDisk {
    @Option(
        names = "--snapshot",
        paramLabel = "SNAPSHOT",
        required = true,
        description = "whose content it gets")
    private String snapshot;

    @Override
    protected void run() {
      act(
          api().object().put("snapshot", snapshot),
          "/rollback",
          " is as it was at snapshot " + snapshot);
    }
  }

  @Command(
      name = "flatten",
      mixinStandardHelpOptions = true,
      description = "Copies what a disk shares with its parents into it")
  static final class Flatten extends OneDisk {
    @Override
    protected void run() {
      act(null, "/flatten", " shares nothing any more");
    }
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "Puts a disk into the trash")
  static final class Delete extends OneDisk {
    @Option(names = "--purge", description = "free its space now; nothing brings it back")
    private boolean purge;

    @Override
    protected void run() {
      String path = purge ? DISK + "?purge=true" : DISK;
      String done =
          purge ? " is gone" : " is in the trash; bring it back with: m2 disk undelete " + name;
      conclude(api().delete(path, name), api()::nothing, _ -> out().println("disk " + name + done));
    }
  }

  @Command(
      name = "undelete",
      mixinStandardHelpOptions = true,
      description = "Brings a disk back from the trash")
  static final class Undelete extends OneDisk {
    @Override
    protected void run() {
      act(null, "/undelete", " is back");
    }
  }
}
