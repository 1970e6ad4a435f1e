package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code m2 project}. */
@Command(
    name = "project",
    mixinStandardHelpOptions = true,
    description = "Tenants, which own everything else",
    subcommands = {
      ProjectCommands.Create.class,
      ProjectCommands.ListAll.class,
      ProjectCommands.Show.class,
      ProjectCommands.Delete.class
    })
final class ProjectCommands {

  @Command(name = "create", mixinStandardHelpOptions = true, description = "Creates a project")
  static final class Create extends ApiCommand {
    @Parameters(paramLabel = "NAME")
    private String name;

    @Override
    protected void run() {
      JsonNode project = api().post(api().object().put("name", name), "/v1/projects").body();
      if (wantsJson()) {
        printJson(project);
      } else {
        out()
            .println(
                "project "
                    + name
                    + " is created; act in it with --project "
                    + name
                    + " or M2_PROJECT="
                    + name);
      }
    }
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "Lists projects")
  static final class ListAll extends ApiCommand {
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

  @Command(name = "show", mixinStandardHelpOptions = true, description = "Shows a project")
  static final class Show extends ApiCommand {
    @Parameters(paramLabel = "NAME")
    private String name;

    @Override
    protected void run() {
      JsonNode project = api().get("/v1/projects/{}", name);
      if (wantsJson()) {
        printJson(project);
      } else {
        Details.of(out(), project).text("id").text("state").time("createdAt", "created");
      }
    }
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "Deletes an empty project")
  static final class Delete extends ApiCommand {
    @Parameters(paramLabel = "NAME")
    private String name;

    @Override
    protected void run() {
      api().delete("/v1/projects/{}", name);
      if (!wantsJson()) {
        out().println("project " + name + " is deleted");
      }
    }
  }
}
