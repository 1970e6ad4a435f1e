package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code m2 operation}. */
@Command(
    name = "operation",
    mixinStandardHelpOptions = true,
    description = "Long tasks: what they do, how far they are, why they failed",
    subcommands = {
      OperationCommands.ListAll.class,
      OperationCommands.Show.class,
      OperationCommands.Await.class,
      OperationCommands.Abort.class
    })
final class OperationCommands {
  private static final String OPERATION = "/v1/operations/{}";

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "Lists operations, the latest first")
  static final class ListAll extends ApiCommand {
    @Option(
        names = "--limit",
        paramLabel = "N",
        defaultValue = "20",
        description = "how many at most (default ${DEFAULT-VALUE}, up to 1000)")
    private int limit;

    @Override
    protected void run() {
      JsonNode operations =
          api().get("/v1/operations?limit={}", Integer.toString(limit)).path("items");
      if (wantsJson()) {
        printJson(operations);
        return;
      }
      Table table = new Table("ID", "NAME", "STATE", ">DONE", ">TOOK", ">AGE");
      Instant now = Instant.now();
      for (JsonNode operation : operations) {
        table.row(
            Table.cell(operation.path("id")),
            Table.cell(operation.path("name")),
            Table.cell(operation.path("state")),
            String.format(Locale.ROOT, "%.0f%%", operation.path("progress").asDouble() * 100),
            took(operation, now),
            Times.age(operation.path("createdAt"), now));
      }
      table.print(out(), "There are no operations.");
    }
  }

  static String took(JsonNode task, Instant now) {
    Instant from =
        Times.read(task.has("startedAt") ? task.path("startedAt") : task.path("createdAt"));
    Instant to = Times.read(task.path("finishedAt"));
    return from == null ? "-" : Times.exact(Duration.between(from, to == null ? now : to));
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Shows an operation and its steps")
  static final class Show extends ApiCommand {
    @Parameters(paramLabel = "OPERATION", description = "its id")
    private String id;

    @Override
    protected void run() {
      JsonNode operation = api().get(OPERATION, id);
      if (wantsJson()) {
        printJson(operation);
        return;
      }
      Instant now = Instant.now();
      Details.of(out(), operation)
          .text("id")
          .text("project")
          .text("state")
          .time("createdAt", "created")
          .line("took", took(operation, now));
      if (!operation.path("steps").isEmpty()) {
        out().println();
        Table table = new Table("STEP", "STATE", ">TOOK", "DETAIL");
        for (JsonNode step : operation.path("steps")) {
          table.row(
              Table.cell(step.path("name")),
              Table.cell(step.path("state")),
              step.has("startedAt") ? took(step, now) : "-",
              Table.cell(step.path("detail")));
        }
        table.print(out(), "");
      }
      if (operation.path("error").isObject()) {
        out().println();
        Details.fields(out(), operation.path("error"))
            .text("message", "error")
            .text("code")
            .text("hint");
      }
    }
  }

  @Command(
      name = "wait",
      mixinStandardHelpOptions = true,
      description = "Waits for the end; exit status 1 when it failed")
  static final class Await extends LongCommand {
    @Parameters(paramLabel = "OPERATION", description = "its id")
    private String id;

    @Override
    protected void run() {
      conclude(
          new ApiClient.Answer(ApiClient.Answer.ACCEPTED, api().get(OPERATION, id)),
          () -> api().get(OPERATION, id),
          operation -> out().println(Table.cell(operation.path("name")) + " has succeeded"));
    }
  }

  @Command(
      name = "abort",
      mixinStandardHelpOptions = true,
      description = "Asks an operation to stop and undo what it did")
  static final class Abort extends ApiCommand {
    @Parameters(paramLabel = "OPERATION", description = "its id")
    private String id;

    @Override
    protected void run() {
      JsonNode operation = api().post(null, OPERATION + "/abort", id).body();
      if (wantsJson()) {
        printJson(operation);
      } else {
        out()
            .println(
                Table.cell(operation.path("name")) + " is " + Table.cell(operation.path("state")));
      }
    }
  }
}
