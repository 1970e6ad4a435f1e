package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.function.Supplier;

/** The commands of {@code m2 image} that concern other projects. */
final class ImageSharingCommands {
  private static final String IMAGE = "/v1/images/{}";
  private static final String SHARE = IMAGE + "/shares/{}";

  private ImageSharingCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("image share", Share::new);
    commands.put("image unshare", Unshare::new);
    commands.put("image copy", Copy::new);
    commands.put("image move", Move::new);
  }

  /** Who may use an image: one project more or less, or every project. */
  abstract static class Sharing extends ServerCommand {
    final Argument name = arguments.parameter("IMAGE", "");
    final Argument with;
    final Argument everybody;

    Sharing(String withHelp, String publicHelp, String description, String... footer) {
      super(description, footer);
      with = arguments.option("--with", "PROJECT", withHelp);
      everybody = arguments.flag("--public", publicHelp);
    }

    @Override
    final void check() {
      super.check();
      if ((with.orNull() == null) != everybody.isSet()) {
        throw misused("give one of --with, --public");
      }
    }

    /** What is said of an image that is public; otherwise, with nothing, whom it is shared with. */
    final void print(JsonNode image, String ofPublic) {
      if (wantsJson()) {
        printJson(image);
      } else {
        String who = ofPublic.isEmpty() ? " is shared with " + projects(image) : ofPublic;
        out().println("image " + name.text() + who);
      }
    }
  }

  static final class Share extends Sharing {
    Share() {
      super(
          "let this project use it as well",
          "let every project use it",
          "Lets another project use an image, or every project");
    }

    @Override
    protected void run() {
      JsonNode image =
          everybody.isSet()
              ? api().patch(api().object().put("public", true), IMAGE, name.text()).body()
              : api().put(SHARE, name.text(), with.text()).body();
      print(image, everybody.isSet() ? " is public: every project may use it" : "");
    }
  }

  static final class Unshare extends Sharing {
    Unshare() {
      super(
          "this project can make nothing new of it",
          "only projects that it is shared with can make something new of it",
          "Ends the sharing of an image",
          "",
          "Disks that others have made of it go on working.");
    }

    @Override
    protected void run() {
      JsonNode image =
          everybody.isSet()
              ? api().patch(api().object().put("public", false), IMAGE, name.text()).body()
              : api().delete(SHARE, name.text(), with.text()).body();
      boolean isPublic = image.path("public").asBoolean();
      print(image, isPublic ? " is still public: every project may use it" : "");
    }
  }

  /** The projects that an image is shared with. */
  static String projects(JsonNode image) {
    StringBuilder names = new StringBuilder();
    image
        .path("sharedWith")
        .forEach(project -> names.append(names.isEmpty() ? "" : ", ").append(Table.cell(project)));
    return names.isEmpty() ? "nobody" : names.toString();
  }

  static final class Copy extends LongCommand {
    private final Argument name = arguments.parameter("IMAGE", "or PROJECT/IMAGE of another one");
    private final Argument to =
        arguments.option("--to", "PROJECT", "who gets the copy (default: this project)");
    private final Argument newName =
        arguments.option("--name", "NAME", "of the copy (default: the same)");
    private final Argument full =
        arguments.flag("--full", "store the content again, so that the original can be deleted");

    Copy() {
      super(
          "Copies an image that this project may use to an image of its own",
          "",
          "Without --full it takes constant time and no space, and the original cannot be",
          "deleted before the copy.");
    }

    @Override
    protected void run() {
      ObjectNode request = api().object().put("mode", full.isSet() ? "full" : "linked");
      if (to.orNull() != null) {
        request.put("project", to.text());
      }
      if (newName.orNull() != null) {
        request.put("name", newName.text());
      }
      ApiClient.Answer begun = api().post(request, IMAGE + "/copy", name.text());
      String id =
          begun.isAccepted()
              ? begun.body().path("resource").path("id").asText()
              : begun.body().path("id").asText();
      conclude(begun, () -> api(to.orNull()).get(IMAGE, id), this::print);
    }

    private void print(JsonNode copy) {
      out()
          .println(
              "image "
                  + name.text()
                  + " is copied to "
                  + Table.cell(copy.path("project"))
                  + "/"
                  + Table.cell(copy.path("name"))
                  + (full.isSet() ? "" : ", which depends on it"));
    }
  }

  static final class Move extends ServerCommand {
    private final Argument name = arguments.parameter("IMAGE", "");
    private final Argument to = arguments.requiredOption("--to", "PROJECT", "the new owner");
    private final Argument newName =
        arguments.option("--name", "NAME", "its new name (default: the same)");

    Move() {
      super("Gives an image to another project");
    }

    @Override
    protected void run() {
      ObjectNode request = api().object().put("project", to.text());
      if (newName.orNull() != null) {
        request.put("name", newName.text());
      }
      JsonNode image = api().post(request, IMAGE + "/move", name.text()).body();
      if (wantsJson()) {
        printJson(image);
      } else {
        out()
            .println(
                "image "
                    + name.text()
                    + " is now "
                    + Table.cell(image.path("project"))
                    + "/"
                    + Table.cell(image.path("name")));
      }
    }
  }
}
