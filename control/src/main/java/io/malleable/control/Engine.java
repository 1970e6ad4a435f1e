package io.malleable.control;

import io.malleable.control.FaultPoints.Moment;
import java.io.IOException;
import java.time.Instant;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
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
  private static final int SHORT_WORKERS = 32;
  private static final int LONG_WORKERS = 4;
  private static final long RETRY_MILLIS = 1_000;
  private static final long MAX_RETRY_MILLIS = 60_000;

  private final Ports ports;
  private final FaultPoints faults;
  private final OperationJournal journal;
  private final Map<OperationKind, Procedure> procedures = new EnumMap<>(OperationKind.class);
  private final Semaphore shortWorkers = new Semaphore(SHORT_WORKERS);
  private final Semaphore longWorkers = new Semaphore(LONG_WORKERS);
  private final Waits waits = new Waits();

  /** Operations that a thread works on or is about to. */
  private final Map<UUID, Worker> active = new ConcurrentHashMap<>();

  /** Operations that could not go on. */
  private final Map<UUID, Retry> retries = new ConcurrentHashMap<>();

  /** Operations that one being submitted has ended, to be forgotten when that is committed. */
  private final Queue<UUID> superseded = new ConcurrentLinkedQueue<>();

  private volatile boolean closing;

  private record Retry(Instant at, long delayMillis) {}

  /** Thrown by the fault points of tests: the thread stops where it is, as if killed. */
  static final class Abandoned extends Error {}

  Engine(Ports ports, FaultPoints faults) {
    this.ports = ports;
    this.faults = faults;
    this.journal = new OperationJournal(ports, this::procedure);
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
      operation = ports.database().write(rows -> journal.begin(rows, prepare.apply(rows)));
    } catch (Idempotency.Repeated e) {
      return find(e.operation());
    }
    forgetSuperseded();
    if (operation.state().isFinal()) {
      return operation;
    }
    start(operation);
    return find(operation.id());
  }

  /** Lets the operation that is being submitted take over from a waiting one. */
  void supersede(Rows rows, Operation waiting, String by) {
    journal.superseded(rows, waiting, by);
    superseded.add(waiting.id());
  }

  private void forgetSuperseded() {
    for (UUID id = superseded.poll(); id != null; id = superseded.poll()) {
      // If that transaction was rolled back, it still waits and this is only one look more.
      look(id);
    }
  }

  /** Runs an operation in this thread when it is quick, in a worker otherwise. */
  private void start(Operation operation) {
    UUID id = operation.id();
    if (active.putIfAbsent(id, new Worker(ports.database(), operation)) != null) {
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
      waits.add(operation.id(), awaited(operation).watches());
      look(operation.id());
    } else {
      start(operation);
    }
  }

  private void work(UUID id) {
    boolean again;
    do {
      try {
        advance(id);
        retries.remove(id);
      } catch (RuntimeException e) {
        later(id, e);
      } finally {
        active.remove(id);
      }
      again = !closing && !retries.containsKey(id) && leftToUs(id);
    } while (again);
  }

  /** An abort that came while we were leaving found us active and relied on us. */
  private boolean leftToUs(UUID id) {
    Operation operation = find(id);
    if (operation.state().isFinal()) {
      cleanUp(operation);
    }
    return operation.state() == OperationState.ABORTING
        && active.putIfAbsent(id, new Worker(ports.database(), operation)) == null;
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
    boolean more = true;
    while (more && !closing) {
      Operation operation = find(id);
      more =
          switch (operation.state()) {
            case QUEUED, RUNNING -> forward(operation);
            case ABORTING -> backward(operation);
            case WAITING, SUCCEEDED, FAILED, ABORTED -> false;
          };
    }
  }

  /** Does the next step. Returns whether there is more to do now. */
  private boolean forward(Operation operation) {
    int index = operation.firstOpenStep();
    return switch (procedure(operation.kind()).steps(operation).get(index)) {
      case Step.Await await -> {
        ports.database().change(rows -> journal.waits(rows, operation.id(), index, await));
        waits.add(operation.id(), await.watches());
        look(operation.id());
        yield false;
      }
      case Step.Action action -> act(operation, index, action);
    };
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
      return true;
    }
    faults.reach(operation.kind(), action.name(), Moment.AFTER);
    return ports.database().write(rows -> journal.done(rows, operation.id(), index, outcome));
  }

  private Worker worker(Operation operation, int index) {
    Worker worker =
        active.computeIfAbsent(operation.id(), _ -> new Worker(ports.database(), operation));
    worker.enter(operation, index);
    return worker;
  }

  private void fail(
      Operation operation, int index, Step.OnFailure onFailure, ControlException error) {
    System.Logger.Level level =
        error.code().kind() == ErrorCode.Kind.INTERNAL
            ? System.Logger.Level.ERROR
            : System.Logger.Level.WARNING;
    LOG.log(level, operation.name() + " failed at " + operation.steps().get(index).name(), error);
    ports.database().change(rows -> journal.failed(rows, operation.id(), index, onFailure, error));
  }

  /** Undoes the last step that is not undone yet; after the first one the operation ends. */
  private boolean backward(Operation operation) {
    int index = operation.lastStepToUndo();
    if (index < 0) {
      restore(operation);
      return false;
    }
    List<Step> steps = procedure(operation.kind()).steps(operation);
    if (!(steps.get(index) instanceof Step.Action action)) {
      ports.database().change(rows -> journal.undone(rows, operation.id(), index, (_, _) -> {}));
      return true;
    }
    faults.reach(operation.kind(), "undo-" + action.name(), Moment.BEFORE);
    try {
      action.undo().run(worker(operation, index));
    } catch (Abandoned e) {
      throw e;
    } catch (Throwable e) {
      ControlException error = Failures.of(e);
      ports.database().change(rows -> journal.undoFailed(rows, operation.id(), index, error));
      throw error;
    }
    faults.reach(operation.kind(), "undo-" + action.name(), Moment.AFTER);
    ports
        .database()
        .change(rows -> journal.undone(rows, operation.id(), index, action.undoRecord()));
    return true;
  }

  /** All is undone: what the operation began with is there again, then the rows say so. */
  private void restore(Operation operation) {
    faults.reach(operation.kind(), "restore", Moment.BEFORE);
    try {
      procedure(operation.kind()).restore(worker(operation, 0));
    } catch (Abandoned e) {
      throw e;
    } catch (Throwable e) {
      ControlException error = Failures.of(e);
      ports.database().change(rows -> journal.undoFailed(rows, operation.id(), 0, error));
      throw error;
    }
    faults.reach(operation.kind(), "restore", Moment.AFTER);
    ports.database().change(rows -> journal.rolledBack(rows, operation.id()));
  }

  /** Something happened to a resource that an operation may be waiting for. */
  void news(UUID resource) {
    waits.watcher(resource).ifPresent(this::look);
  }

  private Step.Await awaited(Operation operation) {
    Step step = procedure(operation.kind()).steps(operation).get(operation.firstOpenStep());
    if (step instanceof Step.Await await) {
      return await;
    }
    throw new IllegalStateException(operation.name() + " waits at a step that does not wait");
  }

  /** Asks a waiting operation whether its wait is over. */
  private void look(UUID id) {
    boolean waiting = find(id).state() == OperationState.WAITING;
    if (waiting && ports.database().write(rows -> goesOnWaiting(rows, id))) {
      return;
    }
    waits.remove(id);
    Operation now = find(id);
    if (waiting && !now.state().isFinal() && !closing) {
      start(now);
    }
  }

  /** The time of the next look is set here, in the order in which the rows were read. */
  private boolean goesOnWaiting(Rows rows, UUID id) {
    Operation operation = OperationJournal.require(rows, id);
    if (operation.state() != OperationState.WAITING) {
      return false;
    }
    int index = operation.firstOpenStep();
    try {
      return switch (awaited(operation).check().look(rows, operation, ports.clock().instant())) {
        case Step.Waiting.Until until -> {
          waits.lookAgainAt(id, until.moment());
          yield true;
        }
        case Step.Waiting.Over over -> {
          journal.done(rows, id, index, over.outcome());
          yield false;
        }
      };
    } catch (ControlException e) {
      journal.waitFailed(rows, operation, index, e);
      return false;
    } catch (IllegalStateException e) {
      LOG.log(System.Logger.Level.ERROR, operation.name() + " cannot wait any longer", e);
      journal.waitFailed(rows, operation, index, Failures.of(e));
      return false;
    }
  }

  /** Looks at waits whose time has come and retries what could not go on. */
  void tick() {
    Instant now = ports.clock().instant();
    waits.due(now).forEach(this::look);
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
    ports.database().change(rows -> journal.aborted(rows, id));
    waits.remove(id);
    Worker worker = active.get(id);
    if (worker != null) {
      worker.cancel();
    } else {
      start(find(id));
    }
    return find(id);
  }

  /** Progress within the step that runs now; the record only knows whole steps. */
  Operation withProgress(Operation operation) {
    Worker worker = active.get(operation.id());
    return worker == null || operation.state().isFinal()
        ? operation
        : operation.withProgress(Math.max(operation.progress(), worker.overall()));
  }

  private Operation find(UUID id) {
    return ports.database().read(rows -> OperationJournal.require(rows, id));
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
}
