package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Waits for operations of the server and says how they went. */
public final class Operations {
  private static final Set<String> FINAL = Set.of("succeeded", "failed", "aborted");
  private static final Duration AWAY = Duration.ofSeconds(60);
  private static final long RETRY_NANOS = 500_000_000;

  private Operations() {}

  /**
   * Returns when the operation has succeeded. The server may be away for up to a minute meanwhile,
   * since a restarted one goes on with its operations.
   *
   * @param started the operation as the server answered it
   * @throws CommandFailure when it failed, was aborted, or is not over within the time
   */
  public static JsonNode await(
      ApiClient api, JsonNode started, Terminal terminal, PrintWriter err, Duration timeout) {
    JsonNode operation = started;
    String id = operation.path("id").asText();
    long beganNanos = System.nanoTime();
    long seenNanos = beganNanos;
    try (ProgressLine line = new ProgressLine(terminal, err, Table.cell(operation.path("name")))) {
      while (!FINAL.contains(operation.path("state").asText())) {
        line.show(operation.path("progress").asDouble(), doing(operation));
        long leftSeconds =
            timeout.toSeconds() - Duration.ofNanos(System.nanoTime() - beganNanos).toSeconds();
        if (leftSeconds <= 0) {
          throw unfinished(operation, timeout);
        }
        JsonNode now =
            poll(api, id, Math.min(leftSeconds, terminal.interactive() ? 1 : 30), seenNanos);
        if (now != null) {
          operation = now;
          seenNanos = System.nanoTime();
        }
      }
    }
    return succeeded(operation);
  }

  /** The operation if it has succeeded. */
  static JsonNode succeeded(JsonNode operation) {
    if (operation.path("state").asText().equals("succeeded")) {
      return operation;
    }
    JsonNode error = operation.path("error");
    String message = error.path("message").asText("no reason is recorded");
    String code = error.path("code").asText("");
    String hint = error.path("hint").asText("");
    throw new CommandFailure(
        operation.path("name").asText()
            + " "
            + operation.path("state").asText()
            + ": "
            + message
            + (code.isEmpty() ? "" : " [" + code + "]"),
        hint.isEmpty() ? "See: m2 operation show " + operation.path("id").asText() : hint);
  }

  /** The step that runs, for a progress line. */
  static String doing(JsonNode operation) {
    for (JsonNode step : operation.path("steps")) {
      String state = step.path("state").asText();
      if (state.equals("running") || state.equals("waiting")) {
        String detail = step.path("detail").asText("");
        return Table.cell(step.path("name"))
            + (detail.isEmpty() ? "" : ": " + Table.cell(step.path("detail")));
      }
    }
    return operation.path("state").asText();
  }

  private static @Nullable JsonNode poll(
      ApiClient api, String id, long waitSeconds, long seenNanos) {
    try {
      return api.get("/v1/operations/{}?wait={}", id, Long.toString(waitSeconds));
    } catch (ApiException e) {
      if (e.status() < 500 || System.nanoTime() - seenNanos > AWAY.toNanos()) {
        throw e;
      }
    } catch (CommandFailure e) {
      if (System.nanoTime() - seenNanos > AWAY.toNanos()) {
        throw e;
      }
    }
    LockSupport.parkNanos(RETRY_NANOS);
    return null;
  }

  private static CommandFailure unfinished(JsonNode operation, Duration timeout) {
    String id = operation.path("id").asText();
    return new CommandFailure(
        operation.path("name").asText()
            + " is not over after "
            + timeout.toSeconds()
            + " s ("
            + doing(operation)
            + "); it goes on in the server",
        "Look at it with: m2 operation show " + id + "; end it with: m2 operation abort " + id);
  }
}
