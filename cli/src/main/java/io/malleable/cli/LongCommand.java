package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/**
 * A command whose work may go on in the server as an operation, for which it waits unless it is
 * told not to.
 */
public abstract class LongCommand extends ApiCommand {
  @Option(
      names = "--wait",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "wait for the end (the default), or print the operation and return at once")
  private boolean wait;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "1800",
      description = "how long to wait (default ${DEFAULT-VALUE}); the operation goes on after that")
  private long timeoutSeconds;

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
      if (!wait) {
        printOperation(result);
        return;
      }
      Operations.await(api(), result, terminal(), err(), Duration.ofSeconds(timeoutSeconds));
      result = resource.get();
    }
    if (!wantsJson()) {
      print.accept(result);
    } else if (!result.isMissingNode()) {
      printJson(result);
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
