package io.malleable.control;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;

/**
 * Writes how an operation gets on. Every method is called within a transaction and reads the
 * operation in it, because an abort or a superseding operation may have come between.
 */
final class OperationJournal {
  private static final int MAX_UNFINISHED = 20_000;

  private final Ports ports;
  private final Function<OperationKind, Procedure> procedures;

  OperationJournal(Ports ports, Function<OperationKind, Procedure> procedures) {
    this.ports = ports;
    this.procedures = procedures;
  }

  /** The same operation, so that its claims and its first step are in the same transaction. */
  Operation begin(Rows rows, Submission submission) {
    if (rows.operations().countUnfinished() >= MAX_UNFINISHED) {
      throw ControlException.of(
          ErrorCode.TOO_MANY_OPERATIONS,
          "There are " + MAX_UNFINISHED + " unfinished operations.",
          "Wait until some have finished, or abort those that wait for machines.");
    }
    Operation operation =
        new Operation(
            submission.id(),
            submission.projectId(),
            "",
            submission.kind(),
            OperationState.QUEUED,
            now(),
            Optional.empty(),
            submission.subject(),
            submission.input(),
            List.of(),
            0,
            Optional.empty(),
            1);
    Procedure procedure = procedures.apply(operation.kind());
    List<OperationStep> steps = new ArrayList<>();
    procedure.steps(operation).forEach(step -> steps.add(OperationStep.pending(step.name())));
    if (!steps.isEmpty()) {
      steps.set(0, steps.getFirst().running(now()));
    }
    rows.operations().insert(operation.withSteps(steps));
    Idempotency.remember(rows, operation);
    if (steps.isEmpty()) {
      // What was asked for is done by the rows that were changed together with this one.
      finish(rows, operation, OperationState.SUCCEEDED);
    } else {
      for (UUID resource : procedure.claims(operation)) {
        rows.operations().claim(operation.id(), resource);
      }
    }
    return require(rows, operation.id());
  }

  /** A step is done. Returns whether there is more to do. */
  boolean done(Rows rows, UUID id, int index, Step.Outcome outcome) {
    Operation operation = require(rows, id);
    List<OperationStep> steps = new ArrayList<>(operation.steps());
    steps.set(index, steps.get(index).finished(outcome.state(), now(), outcome.detail()));
    outcome.record().accept(rows);
    if (index + 1 == steps.size()) {
      // An abort that comes after the last deed comes too late: there may be no way back.
      finish(rows, operation.withSteps(steps), OperationState.SUCCEEDED);
      return false;
    }
    if (operation.state() == OperationState.ABORTING) {
      rows.operations().update(operation.withSteps(steps));
      return true;
    }
    steps.set(index + 1, steps.get(index + 1).running(now()));
    rows.operations()
        .update(
            operation
                .withSteps(steps)
                .withState(OperationState.RUNNING)
                .withProgress((index + 1.0) / steps.size()));
    return true;
  }

  /** A step failed: the operation ends there, or what it did is taken back. */
  void failed(Rows rows, UUID id, int index, Step.OnFailure onFailure, ControlException error) {
    Operation operation = require(rows, id);
    Operation failed = withFailedStep(operation, index, error);
    if (operation.error().isEmpty()) {
      // An abort that came first stays the cause.
      failed = failed.withError(new OperationError(error.code(), error.message(), error.hint()));
    }
    if (onFailure == Step.OnFailure.STAY && operation.state() != OperationState.ABORTING) {
      finish(rows, failed, OperationState.FAILED);
    } else {
      rows.operations().update(failed.withState(OperationState.ABORTING));
    }
  }

  /** What a waiting operation waited for will not come. */
  void waitFailed(Rows rows, Operation operation, int index, ControlException error) {
    finish(
        rows,
        withFailedStep(operation, index, error)
            .withError(new OperationError(error.code(), error.message(), error.hint())),
        OperationState.FAILED);
  }

  private Operation withFailedStep(Operation operation, int index, ControlException error) {
    List<OperationStep> steps = new ArrayList<>(operation.steps());
    steps.set(
        index,
        steps.get(index).finished(OperationStep.State.FAILED, now(), Optional.of(error.message())));
    return operation.withSteps(steps);
  }

  void undone(Rows rows, UUID id, int index, Step.UndoRecord record) {
    Operation operation = require(rows, id);
    List<OperationStep> steps = new ArrayList<>(operation.steps());
    steps.set(
        index, steps.get(index).finished(OperationStep.State.UNDONE, now(), Optional.empty()));
    record.write(rows, operation);
    rows.operations().update(operation.withSteps(steps));
  }

  /** The step keeps its state, so it is undone again later; its detail says why it hangs. */
  void undoFailed(Rows rows, UUID id, int index, ControlException error) {
    Operation operation = require(rows, id);
    List<OperationStep> steps = new ArrayList<>(operation.steps());
    OperationStep step = steps.get(index);
    steps.set(
        index,
        new OperationStep(
            step.name(),
            step.state(),
            step.startedAt(),
            step.finishedAt(),
            Optional.of("cannot be taken back yet, is retried: " + error.message())));
    rows.operations().update(operation.withSteps(steps));
  }

  /** Every step is undone. */
  void rolledBack(Rows rows, UUID id) {
    Operation operation = require(rows, id);
    procedures.apply(operation.kind()).rolledBack(rows, operation);
    boolean asked = operation.error().map(e -> e.code() == ErrorCode.ABORTED).orElse(false);
    finish(rows, operation, asked ? OperationState.ABORTED : OperationState.FAILED);
  }

  void waits(Rows rows, UUID id, int index, Step.Await await) {
    Operation operation = require(rows, id);
    if (operation.state() == OperationState.ABORTING) {
      return;
    }
    List<OperationStep> steps = new ArrayList<>(operation.steps());
    steps.set(index, steps.get(index).running(now()));
    rows.operations().update(operation.withSteps(steps).withState(OperationState.WAITING));
    rows.operations().unclaim(id, await.unclaims());
  }

  /** Somebody wants it undone. */
  void aborted(Rows rows, UUID id) {
    Operation operation = require(rows, id);
    if (operation.state().isFinal()) {
      throw ControlException.of(
          ErrorCode.OPERATION_FINISHED,
          "The operation has " + operation.state().word() + " already.",
          "To take back what it did, start the opposite operation.");
    }
    if (operation.state() == OperationState.ABORTING) {
      return;
    }
    Set<UUID> claims = procedures.apply(operation.kind()).claims(operation);
    Claims.takeBack(rows, operation, claims);
    rows.operations()
        .update(
            operation
                .withState(OperationState.ABORTING)
                .withError(
                    new OperationError(
                        ErrorCode.ABORTED, "Aborted on request.", Optional.empty())));
  }

  /** Ends a waiting operation without undoing anything, because another one takes over. */
  void superseded(Rows rows, Operation operation, String by) {
    if (operation.state() != OperationState.WAITING) {
      throw new IllegalStateException("only a waiting operation can be superseded");
    }
    List<OperationStep> steps = new ArrayList<>();
    for (OperationStep step : operation.steps()) {
      steps.add(
          step.isDone()
              ? step
              : step.finished(
                  OperationStep.State.SKIPPED, now(), Optional.of("superseded by " + by)));
    }
    finish(
        rows,
        operation
            .withSteps(steps)
            .withError(
                new OperationError(
                    ErrorCode.SUPERSEDED,
                    "Superseded by " + by + " before the machine was up.",
                    Optional.empty())),
        OperationState.ABORTED);
  }

  private void finish(Rows rows, Operation operation, OperationState state) {
    Operation finished = operation.finished(state, now());
    rows.operations().update(finished);
    rows.operations().unclaimAll(operation.id());
    rows.events()
        .append(
            now(),
            Optional.of(operation.projectId()),
            "operation." + state.word(),
            Optional.of(operation.subject()),
            finished.name()
                + " "
                + state.word()
                + finished.error().map(e -> ": " + e.message()).orElse(""));
  }

  private Instant now() {
    return ports.clock().instant();
  }

  static Operation require(Rows rows, UUID id) {
    return rows.operations()
        .find(id)
        .orElseThrow(() -> new IllegalStateException("operation " + id + " is gone"));
  }
}
