package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Commands of one session that go on beside its connection thread: because their unit wants
 * concurrency or because they end durable, each on a virtual thread with a writer of its own; or
 * because they are done but for a flush, which the unit's {@link Flusher} does. The command window
 * bounds how many there are; the unit's permits bound how many reach the store. Safe for any
 * thread.
 */
final class Workers {
  /** Commands for immediate delivery come on top of the command window. */
  private static final int MAX_RUNNING = 1024 + 16;

  /** Room for some dozens of statuses, each with sense data. */
  private static final int ANSWER_BUFFER_BYTES = 4096;

  private final Connection connection;
  private final Outbound outbound;
  private final BufferPool pool;
  private final CommandWindow window;
  private final NegotiatedParameters parameters;

  /** A void task has no access to the medium before it; all that it waits for is its turn. */
  private static final long VOID_WAIT_MILLIS = 10_000;

  /** Guarded by this. */
  private final List<Task> running = new ArrayList<>();

  private int ordered;
  private int ended;
  private boolean closing;

  /** Copies for who only asks whether there is anything, without the lock. */
  private volatile int runningCount;

  private volatile int orderedCount;

  private volatile int endings;

  /** For answers to flushed tasks, which a lack of buffers must not hold up. */
  private final ReentrantLock answering = new ReentrantLock();

  private final PduWriter answers;

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
    this.answers = new PduWriter(outbound, pool, ByteBuffer.allocateDirect(ANSWER_BUFFER_BYTES));
    answers.fullFeaturePhase(parameters);
  }

  boolean wanted(Task task) {
    CommandSpec spec = task.spec();
    return spec.atomic() || (task.device().concurrent() && spec.dispatchable());
  }

  boolean idle() {
    return runningCount == 0;
  }

  /** Whether an ordered task is here, behind which others may have to wait. */
  boolean anyOrdered() {
    return orderedCount > 0;
  }

  /** Counts the tasks that have ended; has changed before their end can be seen otherwise. */
  int endings() {
    return endings;
  }

  /** Whether one is here that must have ended before the task begins (SAM-5 8.6). */
  boolean anyBefore(Task task) {
    if (runningCount == 0 || (orderedCount == 0 && task.attribute != Task.ORDERED)) {
      return false;
    }
    synchronized (this) {
      for (Task other : running) {
        if (other.arrival < task.arrival
            && other.isOrderedWith(task)
            && !isFlushedForNobody(other)) {
          return true;
        }
      }
      return false;
    }
  }

  /** A flush whose task is void goes on, and nobody is to wait for it. */
  private static boolean isFlushedForNobody(Task task) {
    return task.flusher != null && task.isVoid();
  }

  /**
   * Whether a tag stands for a task; that of a void one is free again once it has ended. The lock
   * is taken only while there is a task.
   */
  boolean inUse(int initiatorTaskTag) {
    return runningCount > 0 && isRunning(initiatorTaskTag);
  }

  private synchronized boolean isRunning(int initiatorTaskTag) {
    for (Task task : running) {
      if (task.initiatorTaskTag == initiatorTaskTag) {
        if (isFlushedForNobody(task) && !task.answered) {
          forget(task);
          return false;
        }
        return !task.isVoid()
            || !awaitNone(t -> t.initiatorTaskTag == initiatorTaskTag, VOID_WAIT_MILLIS);
      }
    }
    return false;
  }

  /** Executes a task beside the connection thread. */
  void dispatch(Task task, ScsiTasks tasks) throws IOException {
    if (task.device().concurrent()) {
      connection.othersSend();
    }
    begin(task);
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

  /** Takes a task that is done but for its flushes, and answers it after them. */
  void flush(Task task) throws IOException {
    begin(task);
    submit(task);
  }

  private void begin(Task task) throws IOException {
    synchronized (this) {
      if (running.size() >= MAX_RUNNING) {
        throw new ProtocolException("more than " + MAX_RUNNING + " commands under way");
      }
      running.add(task);
      runningCount = running.size();
      ordered += task.attribute == Task.ORDERED ? 1 : 0;
      orderedCount = ordered;
    }
    window.taskRetained();
    task.unit().taskRetained();
  }

  private void run(Task task, ScsiTasks tasks) {
    boolean permitted = false;
    boolean flushes = false;
    try (PduWriter writer = new PduWriter(outbound, pool)) {
      writer.fullFeaturePhase(parameters);
      task.device().permits().acquire();
      permitted = true;
      flushes = tasks.execute(task, writer);
      if (flushes) {
        releaseData(task);
        submit(task);
        return;
      }
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
      if (!flushes) {
        ended(task);
      }
    }
  }

  /** Asks for the task's next flush, unless it has been aborted since. */
  private synchronized void submit(Task task) {
    if (!running.contains(task)) {
      return;
    }
    Flusher flusher = task.nextToFlush().flusher();
    task.flusher = flusher;
    if (closing) {
      forget(task);
    } else if (!flusher.submit(new Flusher.Wanted(task, this))) {
      // On another thread, as whoever submits may have the lock.
      Flusher.Outcome refused =
          new Flusher.Outcome(SenseData.LUN_NOT_SUPPORTED.asException(), null);
      Thread.ofVirtual().name("iscsi-worker").start(() -> flushed(List.of(task), refused));
    }
  }

  /** Whether an answer would not wait for one that is being sent. */
  boolean canAnswerAtOnce() {
    return !answering.isLocked() && !outbound.sending();
  }

  /** Answers tasks after a flush, or asks for their next. */
  void flushed(List<Task> tasks, Flusher.Outcome outcome) {
    List<Task> answered = new ArrayList<>();
    answering.lock();
    try {
      Error error = outcome.error();
      if (error != null && tasks.stream().anyMatch(this::isKnown)) {
        connection.fail(error);
        return;
      }
      ScsiException failure = outcome.failure();
      for (Task task : tasks) {
        if (failure == null && task.flushesMore()) {
          submit(task);
        } else if (mayAnswer(task)) {
          answered.add(task);
          build(task, failure);
        } else {
          endVoid(task);
        }
      }
      answers.flush();
    } catch (IOException e) {
      connection.cut(new SessionEnd(SessionEnd.Cause.CONNECTION_LOST, String.valueOf(e)));
    } catch (RuntimeException | Error e) {
      connection.fail(e);
    } finally {
      answers.discard();
      answering.unlock();
      answered.forEach(this::ended);
    }
  }

  private void build(Task task, @Nullable ScsiException failure) throws IOException {
    if (failure == null) {
      ScsiTasks.done(task);
      Replies.good(answers, task, task.transferBytes, 0);
    } else {
      ScsiTasks.fail(task, failure, answers);
    }
  }

  private synchronized boolean isKnown(Task task) {
    return running.contains(task);
  }

  /** A void task whose flush has ended; one that was forgotten already is not known here. */
  private void endVoid(Task task) {
    if (isKnown(task)) {
      task.unit().noticeAbort(task);
      ended(task);
    }
  }

  private void releaseData(Task task) {
    ByteBuffer data = task.data;
    task.data = null;
    if (data != null && task.ownsBuffer) {
      task.ownsBuffer = false;
      pool.release(data);
    }
  }

  private synchronized void ended(Task task) {
    releaseData(task);
    if (running.remove(task)) {
      ended++;
      endings = ended;
      runningCount = running.size();
      ordered -= task.attribute == Task.ORDERED ? 1 : 0;
      orderedCount = ordered;
      if (!task.answered) {
        window.taskEnded();
      }
      task.unit().taskEnded();
    }
    notifyAll();
  }

  /** Ends a task that waits for a flush without an answer; the flush may go on. */
  private synchronized void forget(Task task) {
    Flusher flusher = task.flusher;
    if (flusher != null) {
      flusher.forget(task);
    }
    ended(task);
  }

  /**
   * Afterwards an abort comes too late: the initiator gets a status, and no task to abort. The
   * status tells the place that the task leaves in the window.
   */
  private synchronized boolean mayAnswer(Task task) {
    task.answered = running.contains(task) && !task.isVoid();
    if (task.answered) {
      window.taskEnded();
    }
    return task.answered;
  }

  /**
   * Marks tasks so that they end without a status and waits until they have ended, and those that
   * are being answered as well; but not for flushes, which do nothing that the initiator could meet
   * later.
   *
   * @return how many were marked, or -1 when one did not end in time
   */
  synchronized int abort(Predicate<Task> which, long waitLimitMillis) {
    int count = 0;
    for (Task task : List.copyOf(running)) {
      if (which.test(task) && !task.answered) {
        task.aborted = true;
        count++;
        if (task.flusher != null) {
          forget(task);
        }
      }
    }
    return awaitNone(which, waitLimitMillis) ? count : -1;
  }

  /**
   * The session ends: nothing that waits for a flush is answered any more. Returns when nothing
   * else runs; how long that takes is the store's to bound.
   */
  void close() {
    synchronized (this) {
      closing = true;
      for (Task task : List.copyOf(running)) {
        if (task.flusher != null && !task.answered) {
          forget(task);
        }
      }
    }
    boolean idle = false;
    while (!idle) {
      idle = awaitNone(task -> true, 60_000);
    }
  }

  /** Waits until a task ends, but for a moment only. */
  void awaitChange(long limitMillis) {
    int seen = runningCount;
    awaitUntil(() -> running.size() < seen, limitMillis);
  }

  /** False when the time is over. */
  private boolean awaitNone(Predicate<Task> which, long limitMillis) {
    return awaitUntil(() -> running.stream().noneMatch(which), limitMillis);
  }

  private synchronized boolean awaitUntil(BooleanSupplier condition, long limitMillis) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(limitMillis);
    boolean interrupted = false;
    try {
      while (!condition.getAsBoolean()) {
        long remainingNanos = deadline - System.nanoTime();
        if (remainingNanos <= 0) {
          return false;
        }
        try {
          TimeUnit.NANOSECONDS.timedWait(this, remainingNanos);
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
