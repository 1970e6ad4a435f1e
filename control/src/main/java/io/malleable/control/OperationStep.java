package io.malleable.control;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;

/**
 * One step of an operation, as recorded.
 *
 * @param detail what came of it, for people
 */
public record OperationStep(
    String name,
    State state,
    Optional<Instant> startedAt,
    Optional<Instant> finishedAt,
    Optional<String> detail) {
  /** Where a step stands. */
  public enum State {
    PENDING,
    RUNNING,
    DONE,
    SKIPPED,
    FAILED,
    UNDONE;

    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Whether it needs not to be done any more. */
  boolean isDone() {
    return state == State.DONE || state == State.SKIPPED;
  }

  /** Whether it may have had an effect that is not taken back. */
  boolean mayHaveActed() {
    return state != State.PENDING && state != State.UNDONE;
  }

  static OperationStep pending(String name) {
    return new OperationStep(
        name, State.PENDING, Optional.empty(), Optional.empty(), Optional.empty());
  }

  OperationStep running(Instant now) {
    return new OperationStep(
        name, State.RUNNING, Optional.of(startedAt.orElse(now)), Optional.empty(), detail);
  }

  OperationStep finished(State newState, Instant now, Optional<String> newDetail) {
    return new OperationStep(
        name, newState, startedAt, Optional.of(now), newDetail.isPresent() ? newDetail : detail);
  }
}
