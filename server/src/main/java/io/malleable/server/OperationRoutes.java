package io.malleable.server;

import io.malleable.control.Operation;
import io.malleable.control.OperationFilter;
import io.malleable.control.Operations;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** {@code /v1/operations}. */
final class OperationRoutes {
  private static final int MAX_WAIT_SECONDS = 60;

  /** How often a stream shows progress within a step, and notices that the server stops. */
  private static final long LOOK_MILLIS = 500;

  private final Context context;
  private final Operations operations;
  private final BooleanSupplier serving;

  OperationRoutes(Context context, BooleanSupplier serving) {
    this.context = context;
    this.operations = context.control().operations();
    this.serving = serving;
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", "/v1/operations", this::list, "limit", "cursor"),
        Route.of("GET", "/v1/operations/{operation}", this::get, "wait"),
        Route.of("POST", "/v1/operations/{operation}/abort", this::abort));
  }

  private Answer list(Call call) {
    return Answer.json(
        200,
        PageBody.of(
            operations.list(context.project(call), OperationFilter.all(), call.page()),
            OperationBody::of));
  }

  private Answer get(Call call) throws InterruptedException {
    UUID project = context.project(call);
    String id = call.variable("operation");
    int waitSeconds = call.number("wait", 0, MAX_WAIT_SECONDS, 0);
    if (call.accepts(EventStream.CONTENT_TYPE)) {
      Operation first = operations.get(project, id);
      return new Answer.Stream(
          EventStream.CONTENT_TYPE, out -> follow(project, first, new EventStream(out)));
    }
    if (waitSeconds == 0) {
      return Answer.json(200, OperationBody.of(operations.get(project, id)));
    }
    return Answer.json(200, OperationBody.of(awaitEnd(project, id, waitSeconds)));
  }

  /** In short waits, so that a server that stops does not keep its callers. */
  private Operation awaitEnd(UUID project, String id, int waitSeconds) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(waitSeconds);
    Operation now = operations.get(project, id);
    while (!now.state().isFinal() && serving.getAsBoolean()) {
      long leftMillis = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      if (leftMillis <= 0) {
        return now;
      }
      now = operations.awaitEnd(project, id, Math.min(leftMillis, LOOK_MILLIS));
    }
    return now;
  }

  private void follow(UUID project, Operation first, EventStream stream)
      throws java.io.IOException, InterruptedException {
    Operation shown = first;
    stream.send("operation", OperationBody.of(shown));
    while (!shown.state().isFinal() && serving.getAsBoolean()) {
      Operation now =
          operations.await(project, shown.id().toString(), shown.revision(), LOOK_MILLIS);
      if (now.revision() != shown.revision() || now.progress() > shown.progress()) {
        stream.send("operation", OperationBody.of(now));
        shown = now;
      } else {
        stream.keepAlive();
      }
    }
  }

  private Answer abort(Call call) {
    return Context.accepted(operations.abort(context.project(call), call.variable("operation")));
  }
}
