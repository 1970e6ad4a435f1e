package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A command whose work may go on in the server as an operation, for which it waits unless it is
 * told not to.
 */
public abstract class LongCommand extends ServerCommand {
  private final Argument noWait =
      arguments.flag("--no-wait", "print the operation and return at once");
  private final Argument wait = arguments.flag("--wait", "wait for the end, which is the default");
  private final Argument timeout =
      arguments.option(
          "--timeout",
          "SECONDS",
          "1800",
          "how long to wait (default 1800); the work goes on after that");

  /** A command that does what the description says; the footer tells the rest. */
  protected LongCommand(String description, String... footer) {
    super(description, footer);
  }

  @Override
  void check() {
    super.check();
    if (noWait.isSet() && wait.isSet()) {
      throw misused("give only one of --wait, --no-wait");
    }
    timeout.number(1, 1_000_000);
  }

  /**
   * Waits for the end if there is something to wait for, then prints.
   *
   * @param answer of the call that began the work
   * @param resource reads the resource as it is afterwards
   * @param print prints that resource for people; programs get it as JSON
   */
  protected final void conclude(
      ApiClient.Answer answer, Supplier<JsonNode> resource, Consumer<JsonNode> print) {
    JsonNode result = answer.body();
    if (answer.isAccepted()) {
      if (noWait.isSet()) {
        printOperation(result);
        return;
      }
      warn(
          Operations.await(
              api(), result, terminal(), err(), Duration.ofSeconds(timeout.number(1, 1_000_000))));
      result = resource.get();
    } else {
      warn(result);
    }
    if (!wantsJson()) {
      print.accept(result);
    } else if (!result.isMissingNode()) {
      printJson(result);
    }
  }

  /** It is done, and something was lost. */
  private void warn(JsonNode done) {
    if (done.has("warning")) {
      err().println("warning: " + Table.cell(done.path("warning")));
      err().flush();
    }
  }

  private void printOperation(JsonNode operation) {
    if (wantsJson()) {
      printJson(operation);
    } else {
      out()
          .println(
              operation.path("name").asText()
                  + " goes on as operation "
                  + operation.path("id").asText());
    }
  }
}
