package io.malleable.server;

import io.malleable.control.Control;
import io.malleable.control.Operation;
import io.malleable.control.OperationState;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the routes of all resources need: the services, and how operations become answers. */
final class Context {
  private static final Pattern ETAG = Pattern.compile("\"(\\d{1,18})\"");

  private final Control control;

  Context(Control control) {
    this.control = control;
  }

  Control control() {
    return control;
  }

  /** The id of the project that the call is made in. */
  UUID project(Call call) {
    return control.projects().get(call.project()).id();
  }

  /** Starts work; with an idempotency key only once, also over a restart of the server. */
  Operation start(Call call, UUID project, Supplier<Operation> request) {
    Optional<String> key = call.header("Idempotency-Key");
    if (key.isEmpty()) {
      return request.get();
    }
    return control
        .operations()
        .once(project, key.get(), IdempotencyKeys.fingerprint(call), request);
  }

  /** The resource if the work is done, the problem if it failed, the operation if it goes on. */
  static Answer.Whole outcome(Operation operation, Supplier<Answer.Whole> resource) {
    return switch (operation.state()) {
      case SUCCEEDED -> resource.get();
      case FAILED, ABORTED ->
          operation.error().map(Refusals::answer).orElseGet(() -> accepted(operation));
      case QUEUED, RUNNING, WAITING, ABORTING -> accepted(operation);
    };
  }

  /** The operation, whatever its state. */
  static Answer.Whole accepted(Operation operation) {
    return Answer.json(202, OperationBody.of(operation))
        .with("Location", "/v1/operations/" + operation.id());
  }

  /** Work that is long by nature: the operation, unless it was refused on the way. */
  static Answer.Whole longWork(Operation operation) {
    boolean failed =
        operation.state() == OperationState.FAILED || operation.state() == OperationState.ABORTED;
    return failed
        ? operation.error().map(Refusals::answer).orElseGet(() -> accepted(operation))
        : accepted(operation);
  }

  static Answer.Whole withRevision(Answer.Whole answer, long revision) {
    return answer.with("ETag", "\"" + revision + "\"");
  }

  /** The revision that the caller wants to change; absent means whichever there is. */
  static Optional<Long> expectedRevision(Call call) {
    Optional<String> header = call.header("If-Match").map(String::strip);
    if (header.isEmpty() || header.get().equals("*")) {
      return Optional.empty();
    }
    Matcher matcher = ETAG.matcher(header.get());
    if (!matcher.matches()) {
      throw ApiException.of(
          400,
          "PARAMETER_INVALID",
          "If-Match",
          header.get(),
          "The If-Match header is none of our ETags.",
          "Send the ETag of the resource as it was given, with its quotes.");
    }
    return Optional.of(Long.parseLong(matcher.group(1)));
  }
}
