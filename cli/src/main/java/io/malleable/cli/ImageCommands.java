package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 image}. */
final class ImageCommands {
  private static final String IMAGE = "/v1/images/{}";

  private ImageCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("image", () -> new Noun("Golden images, which never change"));
    commands.put("image import", Import::new);
    commands.put("image export", ImageExport::new);
    commands.put("image list", ListAll::new);
    commands.put("image show", Show::new);
    commands.put("image rename", Rename::new);
    ImageSharingCommands.addTo(commands);
    commands.put("image delete", Delete::new);
  }

  static final class Import extends LongCommand {
    private final Argument name = arguments.parameter("NAME", "of the new image");

    Import() {
      super(
          "Imports an image from a file or a URL",
          "",
          "A server on this machine reads the file itself. To another one, or with",
          "--upload, the file is sent. The same command goes on where a transfer broke",
          "off. The server compares the checksum of the whole.");
    }

    private final Argument source =
        arguments.parameter("FILE|URL", "raw, qcow2, vmdk or vhdx; an http or https URL");

    private final Argument format =
        arguments.option("--format", "FORMAT", "raw, qcow2, vmdk or vhdx (default: found out)");

    private final Argument sha256 =
        arguments.option("--sha256", "HEX", "refuse the file when it has another checksum");

    private final Argument shared = arguments.flag("--public", "let every project use it");

    private final Argument upload =
        arguments.flag("--upload", "send the file even if the server is on this machine");

    @Override
    protected void run() {
      conclude(begin(), () -> api().get(IMAGE, name.text()), this::print);
    }

    private ApiClient.Answer begin() {
      boolean remote = source.text().matches("(?i)https?://.*");
      if (!remote && (upload.isSet() || !api().endpoint().isThisMachine())) {
        return new ImageUpload(api(), terminal(), err())
            .send(
                name.text(),
                ImageUpload.file(source.text()),
                new ImageUpload.Said(format.orNull(), sha256.orNull(), shared.isSet()));
      }
      ObjectNode request = api().object().put("name", name.text()).put("public", shared.isSet());
      if (format.orNull() != null) {
        request.put("format", format.text());
      }
      if (sha256.orNull() != null) {
        request.put("sha256", sha256.text());
      }
      if (remote) {
        request.putObject("source").put("url", source.text());
      } else {
        request.putObject("source").put("path", ImageUpload.file(source.text()).toString());
      }
      return api().post(request, "/v1/images");
    }

    private void print(JsonNode image) {
      out()
          .println(
              "image "
                  + name.text()
                  + " is imported: "
                  + Table.size(image.path("sizeBytes"))
                  + ", "
                  + Table.size(image.path("allocatedBytes"))
                  + " allocated");
      out().println("see whether it boots with: m2 image check " + name.text());
    }
  }

  static final class ListAll extends ServerCommand {
    ListAll() {
      super("Lists images, the public ones and those that others share with this project included");
    }

    @Override
    protected void run() {
      var images = api().list("/v1/images");
      if (wantsJson()) {
        printJson(images);
        return;
      }
      Table table = new Table("NAME", "STATE", ">SIZE", ">ALLOCATED", "PARENT", "SHARED", ">AGE");
      Instant now = Instant.now();
      for (JsonNode image : images) {
        table.row(
            shownName(image, api().endpoint().project()),
            Table.cell(image.path("state")),
            Table.size(image.path("sizeBytes")),
            Table.size(image.path("allocatedBytes")),
            Table.cell(image.path("parent")),
            shared(image),
            Times.age(image.path("createdAt"), now));
      }
      table.print(out(), "There are no images. Import one with: m2 image import NAME FILE");
      StoreFault.note(out(), images);
    }
  }

  /** As it can be given to commands: that of another project with its project. */
  private static String shownName(JsonNode image, String ownProject) {
    String name = Table.cell(image.path("name"));
    String project = Table.cell(image.path("project"));
    return project.equals(ownProject) ? name : project + "/" + name;
  }

  private static String shared(JsonNode image) {
    int projects = image.path("sharedWith").size();
    if (image.path("public").asBoolean()) {
      return "public";
    }
    return projects == 0 ? "-" : projects == 1 ? "1 project" : projects + " projects";
  }

  static final class Show extends ServerCommand {
    private final Argument name = arguments.parameter("IMAGE", "");

    Show() {
      super("Shows an image");
    }

    @Override
    protected void run() {
      JsonNode image = api().get(IMAGE, name.text());
      if (wantsJson()) {
        printJson(image);
        return;
      }
      Details.of(out(), image)
          .text("id")
          .text("project")
          .text("state")
          .text("damage")
          .line("fault", StoreFault.ofVolume(image))
          .size("sizeBytes", "size")
          .line("allocated", StoreFault.occupied(image))
          .text("parent")
          .line("lineage", Lineage.text(image))
          .text("public")
          .line(
              "shared with",
              image.path("sharedWith").isEmpty() ? "-" : ImageSharingCommands.projects(image))
          .text("format")
          .text("sha256")
          .text("source")
          .time("createdAt", "created");
    }
  }

  static final class Rename extends ServerCommand {
    private final Argument name = arguments.parameter("IMAGE", "");
    private final Argument newName = arguments.parameter("NEW-NAME", "");

    Rename() {
      super("Gives an image another name");
    }

    @Override
    protected void run() {
      JsonNode image =
          api().patch(api().object().put("name", newName.text()), IMAGE, name.text()).body();
      if (wantsJson()) {
        printJson(image);
      } else {
        out().println("image " + name.text() + " is now " + newName.text());
      }
    }
  }

  static final class Delete extends LongCommand {
    private final Argument name = arguments.parameter("IMAGE", "");
    private final Argument cascade =
        arguments.flag("--cascade", "delete also everything that depends on it, for good");

    Delete() {
      super(
          "Deletes an image on which nothing depends",
          "",
          "With --cascade, everything that depends on it is deleted as well, the trash",
          "included. Nothing is deleted when one of those disks is attached, exposed or",
          "another project's.");
    }

    @Override
    protected void run() {
      conclude(
          api().delete(cascade.isSet() ? IMAGE + "?cascade=true" : IMAGE, name.text()),
          api()::nothing,
          _ -> out().println("image " + name.text() + " is deleted"));
    }
  }
}
