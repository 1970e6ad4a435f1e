package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 project}. */
final class ProjectCommands {

  private ProjectCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("project", () -> new Noun("Tenants, which own everything else"));
    commands.put("project create", Create::new);
    commands.put("project list", ListAll::new);
    commands.put("project show", Show::new);
    commands.put("project delete", Delete::new);
  }

  static final class Create extends ServerCommand {
    private final Argument name = arguments.parameter("NAME", "");

    Create() {
      super("Creates a project");
    }

    @Override
    protected void run() {
      JsonNode project = api().post(api().object().put("name", name.text()), "/v1/projects").body();
      if (wantsJson()) {
        printJson(project);
      } else {
        out()
            .println(
                "project "
                    + name.text()
                    + " is created; act in it with --project "
                    + name.text()
                    + " or M2_PROJECT="
                    + name.text());
      }
    }
  }

  static final class ListAll extends ServerCommand {
    ListAll() {
      super("Lists projects");
    }

    @Override
    protected void run() {
      var projects = api().list("/v1/projects");
      if (wantsJson()) {
        printJson(projects);
        return;
      }
      Table table = new Table("NAME", "STATE", ">AGE");
      Instant now = Instant.now();
      projects.forEach(p ->
          table.row(
              Table.cell(p.path("name")),
              Table.cell(p.path("state")),
              Times.age(p.path("createdAt"), now)));
      table.print(out(), "There are no projects.");
    }
  }

  static final class Show extends ServerCommand {
    private final Argument name = arguments.parameter("NAME", "");

    Show() {
      super("Shows a project");
    }

    @Override
    protected void run() {
      JsonNode project = api().get("/v1/projects/{}", name.text());
      if (wantsJson()) {
        printJson(project);
      } else {
        Details.of(out(), project).text("id").text("state").time("createdAt", "created");
      }
    }
  }

  static final class Delete extends ServerCommand {
    private final Argument name = arguments.parameter("NAME", "");

    Delete() {
      super("Deletes an empty project");
    }

    @Override
    protected void run() {
      api().delete("/v1/projects/{}", name.text());
      if (!wantsJson()) {
        out().println("project " + name.text() + " is deleted");
      }
    }
  }
}
