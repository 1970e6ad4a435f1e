package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code m2 image}. */
@Command(
    name = "image",
    mixinStandardHelpOptions = true,
    description = "Golden images, which never change",
    subcommands = {
      ImageCommands.Import.class,
      ImageCommands.ListAll.class,
      ImageCommands.Show.class,
      ImageCommands.Rename.class,
      ImageCommands.Share.class,
      ImageCommands.Delete.class
    })
final class ImageCommands {
  private static final String IMAGE = "/v1/images/{}";

  @Command(
      name = "import",
      mixinStandardHelpOptions = true,
      description = "Imports an image from a file or a URL",
      footer = {
        "",
        "A server on this machine reads the file itself. To another one, or with --upload, the",
        "file is sent; a broken transfer is taken up again where it ended by the same command."
      })
  static final class Import extends LongCommand {
    @Parameters(paramLabel = "NAME", description = "of the new image")
    private String name;

    @Parameters(
        paramLabel = "FILE|URL",
        description = "raw, qcow2, vmdk or vhdx; an http or https URL")
    private String source;

    @Option(
        names = "--format",
        paramLabel = "FORMAT",
        description = "raw, qcow2, vmdk or vhdx (default: found out)")
    private @Nullable String format;

    @Option(names = "--public", description = "let every project use it")
    private boolean shared;

    @Option(names = "--upload", description = "send the file even if the server is on this machine")
    private boolean upload;

    @Override
    protected void run() {
      conclude(begin(), () -> api().get(IMAGE, name), this::print);
    }

    private ApiClient.Answer begin() {
      boolean remote = source.matches("(?i)https?://.*");
      if (!remote && (upload || !api().endpoint().isThisMachine())) {
        return new ImageUpload(api(), terminal(), err())
            .send(name, ImageUpload.file(source), format, shared);
      }
      ObjectNode request = api().object().put("name", name).put("public", shared);
      if (format != null) {
        request.put("format", format);
      }
      if (remote) {
        request.putObject("source").put("url", source);
      } else {
        request.putObject("source").put("path", ImageUpload.file(source).toString());
      }
      return api().post(request, "/v1/images");
    }

    private void print(JsonNode image) {
      out()
          .println(
              "image "
                  + name
                  + " is imported: "
                  + Table.size(image.path("sizeBytes"))
                  + ", "
                  + Table.size(image.path("allocatedBytes"))
                  + " allocated");
    }
  }

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "Lists images, the public ones included")
  static final class ListAll extends ApiCommand {
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
            Table.cell(image.path("name")),
            Table.cell(image.path("state")),
            Table.size(image.path("sizeBytes")),
            Table.size(image.path("allocatedBytes")),
            Table.cell(image.path("parent")),
            image.path("public").asBoolean() ? "public" : "-",
            Times.age(image.path("createdAt"), now));
      }
      table.print(out(), "There are no images. Import one with: m2 image import NAME FILE");
    }
  }

  @Command(name = "show", mixinStandardHelpOptions = true, description = "Shows an image")
  static final class Show extends ApiCommand {
    @Parameters(paramLabel = "IMAGE")
    private String name;

    @Override
    protected void run() {
      JsonNode image = api().get(IMAGE, name);
      if (wantsJson()) {
        printJson(image);
        return;
      }
      Details.of(out(), image)
          .text("id")
          .text("project")
          .text("state")
          .size("sizeBytes", "size")
          .size("allocatedBytes", "allocated")
          .text("parent")
          .text("public")
          .text("format")
          .text("sha256")
          .text("source")
          .time("createdAt", "created");
    }
  }

  @Command(
      name = "rename",
      mixinStandardHelpOptions = true,
      description = "Gives an image another name")
  static final class Rename extends ApiCommand {
    @Parameters(paramLabel = "IMAGE")
    private String name;

    @Parameters(paramLabel = "NEW-NAME")
    private String newName;

    @Override
    protected void run() {
      JsonNode image = api().patch(api().object().put("name", newName), IMAGE, name).body();
      if (wantsJson()) {
        printJson(image);
      } else {
        out().println("image " + name + " is now " + newName);
      }
    }
  }

  @Command(
      name = "share",
      mixinStandardHelpOptions = true,
      description = "Makes an image public, or private again")
  static final class Share extends ApiCommand {
    @Parameters(paramLabel = "IMAGE")
    private String name;

    @Option(names = "--private", description = "keep it to its project again")
    private boolean unshare;

    @Override
    protected void run() {
      JsonNode image = api().patch(api().object().put("public", !unshare), IMAGE, name).body();
      if (wantsJson()) {
        printJson(image);
      } else {
        out()
            .println(
                "image "
                    + name
                    + (unshare
                        ? " is private to its project"
                        : " is public: every project may use it"));
      }
    }
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "Deletes an image on which nothing lives")
  static final class Delete extends LongCommand {
    @Parameters(paramLabel = "IMAGE")
    private String name;

    @Override
    protected void run() {
      conclude(
          api().delete(IMAGE, name),
          api()::nothing,
          _ -> out().println("image " + name + " is deleted"));
    }
  }
}
