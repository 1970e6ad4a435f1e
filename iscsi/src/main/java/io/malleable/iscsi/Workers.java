package io.malleable.iscsi;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * Commands of one session that run beside its connection thread, because their unit wants
 * concurrency. The command window bounds how many there are; the unit's permits bound how many
 * reach the store. Each has a virtual thread and a writer of its own.
 */
final class Workers {
  /** Commands for immediate delivery come on top of the command window. */
  private static final int MAX_RUNNING = 1024 + 16;

  private final Connection connection;
  private final Outbound outbound;
  private final BufferPool pool;
  private final CommandWindow window;
  private final NegotiatedParameters parameters;

  /** A void task has no access to the medium before it; all that it waits for is its turn. */
  private static final long VOID_WAIT_MILLIS = 10_000;

  /** Guarded by this. */
  private final List<Task> running = new ArrayList<>();

  private volatile boolean everUsed;

  Workers(
      Connection connection,
      Outbound outbound,
      BufferPool pool,
      CommandWindow window,
      NegotiatedParameters parameters) {
    this.connection = connection;
    this.outbound = outbound;
    this.pool = pool;
    this.window = window;
    this.parameters = parameters;
  }

  boolean wanted(Task task) {
    return task.device().concurrent() && task.spec().dispatchable();
  }

  synchronized boolean idle() {
    return running.isEmpty();
  }

  /**
   * Whether a tag stands for a task; that of a void one is free again once it has ended. The lock
   * is taken only where a unit of the session has ever wanted concurrency.
   */
  boolean inUse(int initiatorTaskTag) {
    return everUsed && isRunning(initiatorTaskTag);
  }

  private synchronized boolean isRunning(int initiatorTaskTag) {
    for (Task task : running) {
      if (task.initiatorTaskTag == initiatorTaskTag) {
        return !task.isVoid()
            || !awaitNone(t -> t.initiatorTaskTag == initiatorTaskTag, VOID_WAIT_MILLIS);
      }
    }
    return false;
  }

  void dispatch(Task task, ScsiTasks tasks) throws IOException {
    connection.othersSend();
    synchronized (this) {
      if (running.size() >= MAX_RUNNING) {
        throw new ProtocolException("more than " + MAX_RUNNING + " commands under way");
      }
      running.add(task);
      everUsed = true;
    }
    window.taskRetained();
    task.unit().taskRetained();
    boolean started = false;
    try {
      Thread.ofVirtual().name("iscsi-worker").start(() -> run(task, tasks));
      started = true;
    } finally {
      if (!started) {
        // Nobody would ever take it from the list, on which the connection's end waits.
        ended(task);
      }
    }
  }

  private void run(Task task, ScsiTasks tasks) {
    boolean permitted = false;
    try (PduWriter writer = new PduWriter(outbound, pool)) {
      writer.fullFeaturePhase(parameters);
      task.device().permits().acquire();
      permitted = true;
      tasks.execute(task, writer);
      window.taskEnded();
      if (mayAnswer(task)) {
        writer.flush();
      }
    } catch (IOException | InterruptedException e) {
      connection.cut(new SessionEnd(SessionEnd.Cause.CONNECTION_LOST, String.valueOf(e)));
    } catch (RuntimeException | Error e) {
      connection.fail(e);
    } finally {
      if (permitted) {
        task.device().permits().release();
      }
      ended(task);
    }
  }

  private void ended(Task task) {
    var data = task.data;
    if (data != null && task.ownsBuffer) {
      task.data = null;
      pool.release(data);
    }
    task.unit().taskEnded();
    synchronized (this) {
      running.remove(task);
      notifyAll();
    }
  }

  /** Afterwards an abort comes too late: the initiator gets a status, and no task to abort. */
  private synchronized boolean mayAnswer(Task task) {
    task.answered = !task.isVoid();
    return task.answered;
  }

  /**
   * Marks tasks so that they end without a status and waits until they have ended, and those that
   * are being answered as well.
   *
   * @return how many were marked, or -1 when one did not end in time
   */
  synchronized int abort(Predicate<Task> which, long waitLimitMillis) {
    int count = 0;
    for (Task task : running) {
      if (which.test(task) && !task.answered) {
        task.aborted = true;
        count++;
      }
    }
    return awaitNone(which, waitLimitMillis) ? count : -1;
  }

  /** Returns when nothing runs. How long that takes is the store's to bound. */
  void awaitIdle() {
    boolean idle = false;
    while (!idle) {
      idle = awaitNone(task -> true, 60_000);
    }
  }

  /** False when the time is over. */
  private synchronized boolean awaitNone(Predicate<Task> which, long limitMillis) {
    long deadline = System.nanoTime() + limitMillis * 1_000_000;
    boolean interrupted = false;
    try {
      while (running.stream().anyMatch(which)) {
        long remainingMillis = (deadline - System.nanoTime()) / 1_000_000;
        if (remainingMillis <= 0) {
          return false;
        }
        try {
          wait(remainingMillis);
        } catch (InterruptedException e) {
          // What runs here must end before its units may be used elsewhere: go on waiting.
          interrupted = true;
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
