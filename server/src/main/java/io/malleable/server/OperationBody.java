package io.malleable.server;

import io.malleable.control.Operation;
import io.malleable.control.OperationError;
import io.malleable.control.OperationStep;
import io.malleable.control.Ref;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** An operation on the wire. */
record OperationBody(
    UUID id,
    String name,
    String project,
    String state,
    Instant createdAt,
    @Nullable Instant finishedAt,
    String kind,
    RefBody resource,
    double progress,
    List<Step> steps,
    @Nullable String warning,
    @Nullable Failure error) {
  static OperationBody of(Operation operation) {
    return new OperationBody(
        operation.id(),
        operation.name(),
        operation.project(),
        operation.stateWord(),
        operation.createdAt(),
        operation.finishedAt().orElse(null),
        operation.kind().word(),
        RefBody.of(operation.subject()),
        operation.progress(),
        operation.steps().stream().map(Step::of).toList(),
        operation.warning().orElse(null),
        operation.error().map(Failure::of).orElse(null));
  }

  /** Points to a resource. */
  record RefBody(String kind, UUID id, String name) {
    static RefBody of(Ref ref) {
      return new RefBody(ref.kind().word(), ref.id(), ref.name());
    }
  }

  /** One step. */
  record Step(
      String name,
      String state,
      @Nullable Instant startedAt,
      @Nullable Instant finishedAt,
      @Nullable String detail) {
    static Step of(OperationStep step) {
      return new Step(
          step.name(),
          step.state().word(),
          step.startedAt().orElse(null),
          step.finishedAt().orElse(null),
          step.detail().orElse(null));
    }
  }

  /** Why it failed. */
  record Failure(String code, String message, @Nullable String hint) {
    static Failure of(OperationError error) {
      return new Failure(error.code().name(), error.message(), error.hint().orElse(null));
    }
  }
}
