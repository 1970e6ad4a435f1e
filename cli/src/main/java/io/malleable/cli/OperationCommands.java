package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 operation}. */
final class OperationCommands {
  private static final String OPERATION = "/v1/operations/{}";

  private OperationCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put(
        "operation", () -> new Noun("Long tasks: what they do, how far they are, why they failed"));
    commands.put("operation list", ListAll::new);
    commands.put("operation show", Show::new);
    commands.put("operation wait", Await::new);
    commands.put("operation abort", Abort::new);
  }

  static final class ListAll extends ServerCommand {
    private final Argument limit =
        arguments.option("--limit", "N", "20", "how many at most (default 20, up to 1000)");

    ListAll() {
      super("Lists operations, the latest first");
    }

    @Override
    protected void run() {
      JsonNode operations =
          api().get("/v1/operations?limit={}", Long.toString(limit.number(1, 1000))).path("items");
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

  static final class Show extends ServerCommand {
    private final Argument id = arguments.parameter("OPERATION", "its id");

    Show() {
      super("Shows an operation and its steps");
    }

    @Override
    protected void run() {
      JsonNode operation = api().get(OPERATION, id.text());
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

  static final class Await extends LongCommand {
    private final Argument id = arguments.parameter("OPERATION", "its id");

    Await() {
      super("Waits for the end; exit status 1 when it failed");
    }

    @Override
    protected void run() {
      conclude(
          new ApiClient.Answer(ApiClient.Answer.ACCEPTED, api().get(OPERATION, id.text())),
          () -> api().get(OPERATION, id.text()),
          operation -> out().println(Table.cell(operation.path("name")) + " has succeeded"));
    }
  }

  static final class Abort extends ServerCommand {
    private final Argument id = arguments.parameter("OPERATION", "its id");

    Abort() {
      super("Asks an operation to stop and undo what it did");
    }

    @Override
    protected void run() {
      JsonNode operation = api().post(null, OPERATION + "/abort", id.text()).body();
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
