package io.malleable.control;

import java.io.IOException;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;

/** One step of an operation. Everything in it may run again after a crash. */
sealed interface Step {
  String name();

  /** What to do with what was done so far when a step fails. */
  enum OnFailure {
    ROLL_BACK,
    /** Keep it: the caller is told and goes on from there. */
    STAY
  }

  /** Does something outside the database. */
  record Action(String name, Act act, Undo undo, UndoRecord undoRecord, OnFailure onFailure)
      implements Step {
    static Action of(String name, Act act) {
      return new Action(name, act, _ -> {}, (_, _) -> {}, OnFailure.ROLL_BACK);
    }

    /** Takes back what {@link #act} did, wholly or in part or not at all. */
    Action undoneBy(Undo newUndo) {
      return new Action(name, act, newUndo, undoRecord, onFailure);
    }

    /** Written together with the record that the step is undone. */
    Action undoneIn(UndoRecord newRecord) {
      return new Action(name, act, undo, newRecord, onFailure);
    }

    Action staying() {
      return new Action(name, act, undo, undoRecord, OnFailure.STAY);
    }
  }

  /**
   * Waits for something to show up in the database, without a worker.
   *
   * @param watches the resource whose news matter
   * @param unclaims what others may use meanwhile
   * @param check is asked again whenever something happened, and at the time it says
   */
  record Await(String name, UUID watches, Set<UUID> unclaims, Check check) implements Step {}

  /** The deed. */
  @FunctionalInterface
  interface Act {
    Outcome run(Run run) throws IOException;
  }

  /** The deed taken back. */
  @FunctionalInterface
  interface Undo {
    void run(Run run) throws IOException;
  }

  /** Rows that change when a step is undone. */
  @FunctionalInterface
  interface UndoRecord {
    void write(Rows rows, Operation operation);
  }

  /** A look at the rows. It throws what the operation shall fail with; that undoes nothing. */
  @FunctionalInterface
  interface Check {
    Waiting look(Rows rows, Operation operation, Instant now);
  }

  /** What a look came to. */
  sealed interface Waiting {
    /** Look again at news, and at this time at the latest. */
    record Until(Instant moment) implements Waiting {}

    /** The wait is over. */
    record Over(Outcome outcome) implements Waiting {}
  }

  /**
   * How a step went.
   *
   * @param record rows that change in the transaction that records the step as done
   */
  record Outcome(OperationStep.State state, Optional<String> detail, Consumer<Rows> record) {
    static Outcome done() {
      return done(_ -> {});
    }

    static Outcome done(Consumer<Rows> record) {
      return new Outcome(OperationStep.State.DONE, Optional.empty(), record);
    }

    static Outcome done(String detail, Consumer<Rows> record) {
      return new Outcome(OperationStep.State.DONE, Optional.of(detail), record);
    }

    static Outcome skipped(String detail) {
      return new Outcome(OperationStep.State.SKIPPED, Optional.of(detail), _ -> {});
    }
  }
}
