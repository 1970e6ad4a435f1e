package io.malleable.control;

import io.malleable.control.FaultPoints.Moment;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/**
 * Runs operations. The transaction that starts one also claims what it works on and writes what it
 * begins with; each step is recorded as running before it acts and as done afterwards, in one
 * transaction with the start of the next. A step may therefore act twice, never half unnoticed.
 *
 * <p>Workers are virtual threads, bounded by permits per {@link Procedure.Pace}. The database alone
 * says what state an operation is in; what is kept in memory can be rebuilt from it.
 */
final class Engine implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Engine.class.getName());
  private static final int MAX_UNFINISHED = 20_000;
  private static final int SHORT_WORKERS = 32;
  private static final int LONG_WORKERS = 4;
  private static final long RETRY_MILLIS = 1_000;
  private static final long MAX_RETRY_MILLIS = 60_000;

  private final Ports ports;
  private final FaultPoints faults;
  private final Map<OperationKind, Procedure> procedures = new EnumMap<>(OperationKind.class);
  private final Semaphore shortWorkers = new Semaphore(SHORT_WORKERS);
  private final Semaphore longWorkers = new Semaphore(LONG_WORKERS);

  /** Operations that a thread works on or is about to; the value is what it knows of them. */
  private final Map<UUID, Worker> active = new ConcurrentHashMap<>();

  /** Operations in state WAITING. */
  private final Map<UUID, Wait> waiting = new ConcurrentHashMap<>();

  /** Which waiting operation watches a resource; a claim sees to it that there is only one. */
  private final Map<UUID, UUID> watchers = new ConcurrentHashMap<>();

  /** Operations that could not go on, with the time of the next attempt. */
  private final Map<UUID, Retry> retries = new ConcurrentHashMap<>();

  private volatile boolean closing;

  private record Wait(UUID watched, Instant nextLook) {}

  private record Retry(Instant at, long delayMillis) {}

  /** Thrown by the fault points of tests: the thread stops where it is, as if killed. */
  static final class Abandoned extends Error {}

  Engine(Ports ports, FaultPoints faults) {
    this.ports = ports;
    this.faults = faults;
  }

  void register(OperationKind kind, Procedure procedure) {
    procedures.put(kind, procedure);
  }

  private Procedure procedure(OperationKind kind) {
    Procedure procedure = procedures.get(kind);
    if (procedure == null) {
      throw new IllegalStateException("no procedure for " + kind);
    }
    return procedure;
  }

  /**
   * Starts an operation.
   *
   * @param prepare checks and changes rows in the transaction that persists the operation; when it
   *     throws, nothing has happened
   */
  Operation submit(Function<Rows, Submission> prepare) {
    if (closing) {
      throw ControlException.of(
          ErrorCode.STORE_UNAVAILABLE, "The server is stopping.", "Repeat when it is up again.");
    }
    Operation operation;
    try {
      operation = ports.database().write(rows -> insert(rows, prepare.apply(rows)));
    } catch (Idempotency.Repeated e) {
      return find(e.operation());
    }
    if (operation.state().isFinal()) {
      return operation;
    }
    start(operation);
    return find(operation.id());
  }

  private Operation insert(Rows rows, Submission submission) {
    if (rows.operations().countUnfinished() >= MAX_UNFINISHED) {
      throw ControlException.of(
          ErrorCode.TOO_MANY_OPERATIONS,
          "There are " + MAX_UNFINISHED + " unfinished operations.",
          "Wait until some have finished, or abort those that wait for machines.");
    }
    Instant now = ports.clock().instant();
    Operation operation =
        new Operation(
            submission.id(),
            submission.projectId(),
            "",
            submission.kind(),
            OperationState.QUEUED,
            now,
            Optional.empty(),
            submission.subject(),
            submission.input(),
            List.of(),
            0,
            Optional.empty(),
            1);
    Procedure procedure = procedure(operation.kind());
    List<OperationStep> journal = new ArrayList<>();
    procedure.steps(operation).forEach(step -> journal.add(OperationStep.pending(step.name())));
    if (journal.isEmpty()) {
      operation = operation.finished(OperationState.SUCCEEDED, now);
    } else {
      journal.set(0, journal.getFirst().running(now));
      operation = operation.withSteps(journal);
    }
    rows.operations().insert(operation);
    if (!operation.state().isFinal()) {
      for (UUID resource : procedure.claims(operation)) {
        rows.operations().claim(operation.id(), resource);
      }
    }
    Idempotency.remember(rows, operation);
    return operation;
  }

  /** Runs an operation in this thread when it is quick, in a worker otherwise. */
  private void start(Operation operation) {
    UUID id = operation.id();
    if (active.putIfAbsent(id, new Worker(operation)) != null) {
      return;
    }
    Procedure.Pace pace = procedure(operation.kind()).pace();
    if (pace == Procedure.Pace.INSTANT) {
      work(id);
      return;
    }
    Semaphore permits = pace == Procedure.Pace.LONG ? longWorkers : shortWorkers;
    Thread.ofVirtual()
        .name("operation-" + id)
        .start(() -> {
          permits.acquireUninterruptibly();
          try {
            work(id);
          } catch (Abandoned e) {
            LOG.log(System.Logger.Level.DEBUG, "abandoned operation " + id);
          } finally {
            permits.release();
          }
        });
  }

  /** Goes on with what a server before this one left unfinished. */
  void resume() {
    for (Operation operation : ports.database().read(rows -> rows.operations().unfinished())) {
      LOG.log(
          System.Logger.Level.INFO,
          "resuming {0} ({1}) {2}",
          operation.name(),
          operation.state().word(),
          operation.id());
      resume(operation);
    }
  }

  private void resume(Operation operation) {
    if (operation.state() == OperationState.WAITING) {
      watch(operation.id(), awaited(operation).watches());
      look(operation.id());
    } else {
      start(operation);
    }
  }

  private void work(UUID id) {
    boolean again;
    do {
      again = false;
      try {
        advance(id);
        retries.remove(id);
      } catch (RuntimeException e) {
        later(id, e);
      } finally {
        active.remove(id);
      }
      // An abort that came while we were leaving found us active and left the work to us.
      Operation now = find(id);
      if (now.state().isFinal()) {
        cleanUp(now);
      }
      if (!closing
          && now.state() == OperationState.ABORTING
          && !retries.containsKey(id)
          && active.putIfAbsent(id, new Worker(now)) == null) {
        again = true;
      }
    } while (again);
  }

  private void cleanUp(Operation operation) {
    try {
      procedure(operation.kind()).ended(operation);
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "cleaning up after " + operation.name(), e);
    }
  }

  /** The database or an undo failed: nothing is lost, the record says where to go on. */
  private void later(UUID id, RuntimeException e) {
    LOG.log(System.Logger.Level.ERROR, "operation " + id + " cannot go on, will be retried", e);
    retries.compute(
        id,
        (_, before) -> {
          long delay =
              before == null ? RETRY_MILLIS : Math.min(MAX_RETRY_MILLIS, before.delayMillis() * 2);
          return new Retry(ports.clock().instant().plusMillis(delay), delay);
        });
  }

  private void advance(UUID id) {
    while (!closing) {
      Operation operation = find(id);
      boolean more =
          switch (operation.state()) {
            case QUEUED, RUNNING -> forward(operation);
            case ABORTING -> backward(operation);
            case WAITING, SUCCEEDED, FAILED, ABORTED -> false;
          };
      if (!more) {
        return;
      }
    }
  }

  /** Does the next step. Returns whether there is more to do now. */
  private boolean forward(Operation operation) {
    List<Step> steps = procedure(operation.kind()).steps(operation);
    int index = firstOpen(operation);
    return switch (steps.get(index)) {
      case Step.Await await -> {
        beginWait(operation.id(), index, await);
        look(operation.id());
        yield false;
      }
      case Step.Action action -> act(operation, index, action);
    };
  }

  private static boolean isDone(OperationStep step) {
    return step.state() == OperationStep.State.DONE || step.state() == OperationStep.State.SKIPPED;
  }

  private boolean act(Operation operation, int index, Step.Action action) {
    faults.reach(operation.kind(), action.name(), Moment.BEFORE);
    Step.Outcome outcome;
    try {
      outcome = action.act().run(worker(operation, index));
    } catch (Abandoned e) {
      throw e;
    } catch (Throwable e) {
      if (closing) {
        // Given up because we stop; the record says "running", so the next start repeats it.
        return false;
      }
      fail(operation, index, action.onFailure(), Failures.of(e));
      return action.onFailure() == Step.OnFailure.ROLL_BACK;
    }
    faults.reach(operation.kind(), action.name(), Moment.AFTER);
    return ports.database().write(rows -> done(rows, operation.id(), index, outcome));
  }

  private Worker worker(Operation operation, int index) {
    Worker worker = active.computeIfAbsent(operation.id(), _ -> new Worker(operation));
    worker.enter(operation, index);
    return worker;
  }

  /** Records a step as done and what follows from it. Returns whether there is more to do. */
  private boolean done(Rows rows, UUID id, int index, Step.Outcome outcome) {
    Operation operation = require(rows, id);
    Instant now = ports.clock().instant();
    List<OperationStep> journal = new ArrayList<>(operation.steps());
    journal.set(index, journal.get(index).finished(outcome.state(), now, outcome.detail()));
    outcome.record().accept(rows);
    if (operation.state() == OperationState.ABORTING) {
      rows.operations().update(operation.withSteps(journal));
      return true;
    }
    if (index + 1 == journal.size()) {
      finish(rows, operation.withSteps(journal), OperationState.SUCCEEDED);
      return false;
    }
    journal.set(index + 1, journal.get(index + 1).running(now));
    rows.operations()
        .update(
            operation
                .withSteps(journal)
                .withState(OperationState.RUNNING)
                .withProgress((index + 1.0) / journal.size()));
    return true;
  }

  private void finish(Rows rows, Operation operation, OperationState state) {
    Operation finished = operation.finished(state, ports.clock().instant());
    rows.operations().update(finished);
    rows.operations().unclaimAll(operation.id());
    rows.events()
        .append(
            ports.clock().instant(),
            Optional.of(operation.projectId()),
            "operation." + state.word(),
            Optional.of(operation.subject()),
            finished.name()
                + " "
                + state.word()
                + operation.error().map(e -> ": " + e.message()).orElse(""));
  }

  private void fail(Operation before, int index, Step.OnFailure onFailure, ControlException error) {
    System.Logger.Level level =
        error.code().kind() == ErrorCode.Kind.INTERNAL
            ? System.Logger.Level.ERROR
            : System.Logger.Level.WARNING;
    LOG.log(level, before.name() + " failed at " + before.steps().get(index).name(), error);
    ports
        .database()
        .change(rows -> {
          Operation operation = require(rows, before.id());
          List<OperationStep> journal = new ArrayList<>(operation.steps());
          journal.set(
              index,
              journal
                  .get(index)
                  .finished(
                      OperationStep.State.FAILED,
                      ports.clock().instant(),
                      Optional.of(error.message())));
          Operation failed = operation.withSteps(journal);
          if (operation.error().isEmpty()) {
            // An abort that came first stays the cause.
            failed =
                failed.withError(new OperationError(error.code(), error.message(), error.hint()));
          }
          if (onFailure == Step.OnFailure.STAY && operation.state() != OperationState.ABORTING) {
            finish(rows, failed, OperationState.FAILED);
          } else {
            rows.operations().update(failed.withState(OperationState.ABORTING));
          }
        });
  }

  /** Undoes the last step that is not undone yet; after the first one the operation ends. */
  private boolean backward(Operation operation) {
    List<Step> steps = procedure(operation.kind()).steps(operation);
    int index = operation.steps().size() - 1;
    while (index >= 0 && !needsUndo(operation.steps().get(index))) {
      index--;
    }
    if (index < 0) {
      ports.database().change(rows -> rolledBack(rows, operation.id()));
      return false;
    }
    int last = index;
    if (!(steps.get(index) instanceof Step.Action action)) {
      ports.database().change(rows -> undone(rows, operation.id(), last, (_, _) -> {}));
      return true;
    }
    faults.reach(operation.kind(), "undo-" + action.name(), Moment.BEFORE);
    try {
      action.undo().run(worker(operation, index));
    } catch (Abandoned e) {
      throw e;
    } catch (Throwable e) {
      ControlException error = Failures.of(e);
      ports.database().change(rows -> undoFailed(rows, operation.id(), last, error));
      throw error;
    }
    faults.reach(operation.kind(), "undo-" + action.name(), Moment.AFTER);
    ports.database().change(rows -> undone(rows, operation.id(), last, action.undoRecord()));
    return true;
  }

  private static boolean needsUndo(OperationStep step) {
    return switch (step.state()) {
      case RUNNING, DONE, SKIPPED, FAILED -> true;
      case PENDING, UNDONE -> false;
    };
  }

  private void undone(Rows rows, UUID id, int index, Step.UndoRecord record) {
    Operation operation = require(rows, id);
    List<OperationStep> journal = new ArrayList<>(operation.steps());
    journal.set(
        index,
        journal
            .get(index)
            .finished(OperationStep.State.UNDONE, ports.clock().instant(), Optional.empty()));
    record.write(rows, operation);
    rows.operations().update(operation.withSteps(journal));
  }

  /** The step keeps its state, so it is undone again later; its detail says why it hangs. */
  private void undoFailed(Rows rows, UUID id, int index, ControlException error) {
    Operation operation = require(rows, id);
    List<OperationStep> journal = new ArrayList<>(operation.steps());
    OperationStep step = journal.get(index);
    journal.set(
        index,
        new OperationStep(
            step.name(),
            step.state(),
            step.startedAt(),
            step.finishedAt(),
            Optional.of("cannot be undone yet, will be retried: " + error.message())));
    rows.operations().update(operation.withSteps(journal));
  }

  private void rolledBack(Rows rows, UUID id) {
    Operation operation = require(rows, id);
    procedure(operation.kind()).rolledBack(rows, operation);
    boolean asked = operation.error().map(e -> e.code() == ErrorCode.ABORTED).orElse(false);
    finish(rows, operation, asked ? OperationState.ABORTED : OperationState.FAILED);
  }

  private void beginWait(UUID id, int index, Step.Await await) {
    ports
        .database()
        .change(rows -> {
          Operation operation = require(rows, id);
          if (operation.state() == OperationState.ABORTING) {
            return;
          }
          List<OperationStep> journal = new ArrayList<>(operation.steps());
          journal.set(index, journal.get(index).running(ports.clock().instant()));
          rows.operations().update(operation.withSteps(journal).withState(OperationState.WAITING));
          rows.operations().unclaim(id, await.unclaims());
        });
    watch(id, await.watches());
  }

  private void watch(UUID id, UUID watched) {
    waiting.put(id, new Wait(watched, Instant.MIN));
    watchers.put(watched, id);
  }

  private void unwatch(UUID id) {
    Wait wait = waiting.remove(id);
    if (wait != null) {
      watchers.remove(wait.watched(), id);
    }
  }

  /** Something happened to a resource that an operation may be waiting for. */
  void news(UUID resource) {
    UUID id = watchers.get(resource);
    if (id != null) {
      look(id);
    }
  }

  private Step.Await awaited(Operation operation) {
    Step step = procedure(operation.kind()).steps(operation).get(firstOpen(operation));
    if (step instanceof Step.Await await) {
      return await;
    }
    throw new IllegalStateException(operation.name() + " waits at a step that does not wait");
  }

  private static int firstOpen(Operation operation) {
    int index = 0;
    while (isDone(operation.steps().get(index))) {
      index++;
    }
    return index;
  }

  /** Asks a waiting operation whether its wait is over. */
  private void look(UUID id) {
    Operation operation = find(id);
    if (operation.state() != OperationState.WAITING) {
      unwatch(id);
      return;
    }
    Step.Await await = awaited(operation);
    boolean more = ports.database().write(rows -> look(rows, id, firstOpen(operation), await));
    if (more) {
      start(find(id));
    }
  }

  private boolean look(Rows rows, UUID id, int index, Step.Await await) {
    Operation operation = require(rows, id);
    if (operation.state() != OperationState.WAITING) {
      unwatch(id);
      return false;
    }
    Step.Waiting result;
    try {
      result = await.check().look(rows, operation, ports.clock().instant());
    } catch (ControlException e) {
      List<OperationStep> journal = new ArrayList<>(operation.steps());
      journal.set(
          index,
          journal
              .get(index)
              .finished(
                  OperationStep.State.FAILED, ports.clock().instant(), Optional.of(e.message())));
      finish(
          rows,
          operation
              .withSteps(journal)
              .withError(new OperationError(e.code(), e.message(), e.hint())),
          OperationState.FAILED);
      unwatch(id);
      return false;
    }
    return switch (result) {
      case Step.Waiting.Until until -> {
        waiting.computeIfPresent(id, (_, wait) -> new Wait(wait.watched(), until.moment()));
        yield false;
      }
      case Step.Waiting.Over over -> {
        unwatch(id);
        yield done(rows, id, index, over.outcome());
      }
    };
  }

  /** Looks at waits whose time has come and retries what could not go on. */
  void tick() {
    Instant now = ports.clock().instant();
    waiting.forEach((id, wait) -> {
      if (!wait.nextLook().isAfter(now)) {
        look(id);
      }
    });
    retries.forEach((id, retry) -> {
      if (!retry.at().isAfter(now)) {
        Operation operation = find(id);
        if (operation.state().isFinal()) {
          retries.remove(id);
        } else {
          Thread.ofVirtual().name("retry-" + id).start(() -> resume(operation));
        }
      }
    });
  }

  /** Asks an operation to undo what it did. */
  Operation abort(UUID id) {
    Operation aborting =
        ports
            .database()
            .write(rows -> {
              Operation operation = require(rows, id);
              if (operation.state().isFinal()) {
                throw ControlException.of(
                    ErrorCode.OPERATION_FINISHED,
                    "The operation has " + operation.state().word() + " already.");
              }
              if (operation.state() == OperationState.ABORTING) {
                return operation;
              }
              Set<UUID> claims = procedure(operation.kind()).claims(operation);
              Claims.takeBack(rows, operation, claims);
              Operation changed =
                  operation
                      .withState(OperationState.ABORTING)
                      .withError(
                          new OperationError(
                              ErrorCode.ABORTED, "Aborted on request.", Optional.empty()));
              rows.operations().update(changed);
              return changed;
            });
    unwatch(id);
    Worker worker = active.get(id);
    if (worker != null) {
      worker.cancel();
    } else {
      start(aborting);
    }
    return find(id);
  }

  /**
   * Ends a waiting operation without undoing anything, because the one being submitted takes over.
   */
  void supersede(Rows rows, Operation operation, String by) {
    if (operation.state() != OperationState.WAITING) {
      throw new IllegalStateException("only a waiting operation can be superseded");
    }
    List<OperationStep> journal = new ArrayList<>();
    for (OperationStep step : operation.steps()) {
      journal.add(
          isDone(step)
              ? step
              : step.finished(
                  OperationStep.State.SKIPPED,
                  ports.clock().instant(),
                  Optional.of("superseded by " + by)));
    }
    finish(
        rows,
        operation
            .withSteps(journal)
            .withError(
                new OperationError(
                    ErrorCode.SUPERSEDED,
                    "Superseded by " + by + " before the machine was up.",
                    Optional.empty())),
        OperationState.ABORTED);
  }

  /** Progress within the step that runs now; the record only knows whole steps. */
  Operation withProgress(Operation operation) {
    Worker worker = active.get(operation.id());
    return worker == null || operation.state().isFinal()
        ? operation
        : operation.withProgress(Math.max(operation.progress(), worker.overall()));
  }

  private Operation find(UUID id) {
    return ports.database().read(rows -> require(rows, id));
  }

  private static Operation require(Rows rows, UUID id) {
    return rows.operations()
        .find(id)
        .orElseThrow(() -> new IllegalStateException("operation " + id + " is gone"));
  }

  /** Lets running steps come to an end; what is unfinished goes on at the next start. */
  @Override
  public void close() {
    closing = true;
    active.values().forEach(Worker::cancel);
  }

  /** Waits until no step runs, at most this long. Returns whether that is so. */
  boolean awaitIdle(long timeoutMillis) throws InterruptedException {
    long deadlineNanos = System.nanoTime() + timeoutMillis * 1_000_000;
    while (!active.isEmpty()) {
      if (System.nanoTime() > deadlineNanos) {
        return false;
      }
      Thread.sleep(5);
    }
    return true;
  }

  /** The thread that works on an operation, as its steps see it. */
  private final class Worker implements Run {
    private volatile Operation operation;
    private volatile int index;
    private volatile double part;
    private volatile boolean cancelled;

    Worker(Operation operation) {
      this.operation = operation;
    }

    void enter(Operation now, int newIndex) {
      operation = now;
      index = newIndex;
      part = 0;
    }

    void cancel() {
      cancelled = true;
    }

    double overall() {
      return (index + part) / Math.max(1, operation.steps().size());
    }

    @Override
    public Operation operation() {
      return operation;
    }

    @Override
    public Database database() {
      return ports.database();
    }

    @Override
    public void progress(double done) {
      part = Math.clamp(done, 0, 1);
    }

    @Override
    public boolean isCancelled() {
      // Undoing is never cancelled: there is nothing to go back to.
      return (cancelled || closing) && operation.state() != OperationState.ABORTING;
    }
  }
}
