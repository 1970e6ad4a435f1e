package io.malleable.control;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * A persisted, resumable, abortable task.
 *
 * @param subject what it works on
 * @param input what it was asked for, ids only: no names that may change, no secrets
 * @param progress 0 to 1
 * @param error why it failed, or is being undone
 * @param revision grows with every change, see {@link Operations#await}
 */
public record Operation(
    UUID id,
    UUID projectId,
    String project,
    OperationKind kind,
    OperationState state,
    Instant createdAt,
    Optional<Instant> finishedAt,
    Ref subject,
    Map<String, String> input,
    List<OperationStep> steps,
    double progress,
    Optional<OperationError> error,
    long revision)
    implements Resource {
  public Operation {
    input = Map.copyOf(input);
    steps = List.copyOf(steps);
  }

  @Override
  public String name() {
    return kind.word() + " " + subject.name();
  }

  @Override
  public String stateWord() {
    return state.word();
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.OPERATION, id, name());
  }

  /** What was lost although it was done: its disk could not be flushed when it was withdrawn. */
  public Optional<String> warning() {
    return steps.stream()
        .filter(step -> step.name().equals(TargetSteps.WITHDRAW) && step.isDone())
        .findFirst()
        .flatMap(OperationStep::detail);
  }

  /** An id of the input that its kind always has. */
  UUID inputId(String key) {
    String text = input.get(key);
    if (text == null) {
      throw new IllegalStateException(kind.word() + " " + id + " has no input '" + key + "'");
    }
    return UUID.fromString(text);
  }

  /** The step to do next, or that runs; the operation is not finished. */
  int firstOpenStep() {
    int index = 0;
    while (steps.get(index).isDone()) {
      index++;
    }
    return index;
  }

  /** The step to undo next; -1 when there is none. */
  int lastStepToUndo() {
    int index = steps.size() - 1;
    while (index >= 0 && !steps.get(index).mayHaveActed()) {
      index--;
    }
    return index;
  }

  Operation withState(OperationState newState) {
    return new Operation(
        id,
        projectId,
        project,
        kind,
        newState,
        createdAt,
        finishedAt,
        subject,
        input,
        steps,
        progress,
        error,
        revision);
  }

  Operation withSteps(List<OperationStep> newSteps) {
    return new Operation(
        id,
        projectId,
        project,
        kind,
        state,
        createdAt,
        finishedAt,
        subject,
        input,
        newSteps,
        progress,
        error,
        revision);
  }

  Operation withProgress(double newProgress) {
    return new Operation(
        id,
        projectId,
        project,
        kind,
        state,
        createdAt,
        finishedAt,
        subject,
        input,
        steps,
        newProgress,
        error,
        revision);
  }

  Operation withError(OperationError newError) {
    return new Operation(
        id,
        projectId,
        project,
        kind,
        state,
        createdAt,
        finishedAt,
        subject,
        input,
        steps,
        progress,
        Optional.of(newError),
        revision);
  }

  Operation finished(OperationState finalState, Instant now) {
    return new Operation(
        id,
        projectId,
        project,
        kind,
        finalState,
        createdAt,
        Optional.of(now),
        subject,
        input,
        steps,
        finalState == OperationState.SUCCEEDED ? 1.0 : progress,
        finalState == OperationState.SUCCEEDED ? Optional.empty() : error,
        revision);
  }
}
