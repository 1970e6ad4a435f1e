package io.malleable.iscsi;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Makes one unit durable, one flush after the other, on a thread of its own: a flush may take as
 * long as the medium below is slow, and neither the connection that wants it nor anybody who uses
 * the unit waits for it. Tasks that come while one is under way share the next. Safe for any
 * thread.
 *
 * <p>It is no access to the medium: it changes nothing that a later command could meet, so resets
 * and aborts do not wait for it, and whoever was aborted or has gone is not answered. Only who
 * takes the unit away waits, with {@link #close}.
 *
 * <p>The thread is a platform thread, as a store may hold it for long, and ends after a quiet time.
 */
final class Flusher implements Runnable {
  private static final long IDLE_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** Nothing of it is deep. */
  private static final int STACK_BYTES = 256 * 1024;

  /** What a task waits for, and who answers it. */
  record Wanted(Task task, Workers answers) {}

  private final LogicalUnit unit;

  // Guarded by this.
  private final ArrayDeque<Wanted> waiting = new ArrayDeque<>();
  private boolean running;
  private boolean closed;
  private boolean underWay;

  Flusher(LogicalUnit unit) {
    this.unit = unit;
  }

  /**
   * Flushes for a task, after which it is told.
   *
   * @return false when the unit was taken away; the task is not told then
   */
  synchronized boolean submit(Wanted wanted) {
    if (closed) {
      return false;
    }
    if (!running) {
      Thread thread = new Thread(null, this, "iscsi-flush " + unit.identity().id(), STACK_BYTES);
      thread.setDaemon(true);
      thread.start();
      running = true;
    }
    waiting.addLast(wanted);
    notifyAll();
    return true;
  }

  /** The task needs no flush any more. */
  synchronized void forget(Task task) {
    for (Iterator<Wanted> each = waiting.iterator(); each.hasNext(); ) {
      if (each.next().task() == task) {
        each.remove();
        return;
      }
    }
  }

  /**
   * No flush begins any more; tasks that wait for one are refused.
   *
   * @return false when the one that is under way did not end within the limit
   */
  boolean close(long waitLimitMillis) {
    List<Wanted> refused;
    synchronized (this) {
      closed = true;
      refused = takeAll();
      notifyAll();
    }
    tell(refused, new Outcome(SenseData.LUN_NOT_SUPPORTED.asException(), null));
    return awaitEnd(waitLimitMillis);
  }

  private synchronized boolean awaitEnd(long waitLimitMillis) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(waitLimitMillis);
    try {
      while (underWay) {
        long remainingNanos = deadline - System.nanoTime();
        if (remainingNanos <= 0) {
          return false;
        }
        TimeUnit.NANOSECONDS.timedWait(this, remainingNanos);
      }
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public void run() {
    for (List<Wanted> batch = next(); !batch.isEmpty(); batch = next()) {
      Outcome outcome = flush(batch.getFirst().task());
      synchronized (this) {
        underWay = false;
        notifyAll();
      }
      tell(batch, outcome);
    }
  }

  /** Who waits for the next flush, which then counts as under way; empty when there is no more. */
  private synchronized List<Wanted> next() {
    long deadline = System.nanoTime() + IDLE_NANOS;
    while (waiting.isEmpty() && !closed) {
      long remainingNanos = deadline - System.nanoTime();
      if (remainingNanos <= 0) {
        break;
      }
      try {
        TimeUnit.NANOSECONDS.timedWait(this, remainingNanos);
      } catch (InterruptedException e) {
        // Nobody interrupts this thread but to end the program.
        break;
      }
    }
    running = !waiting.isEmpty();
    underWay = running;
    return takeAll();
  }

  private synchronized List<Wanted> takeAll() {
    List<Wanted> all = new ArrayList<>(waiting);
    waiting.clear();
    return all;
  }

  /** How a flush ended: well, with a status, or with an error that ends sessions. */
  record Outcome(@Nullable ScsiException failure, @Nullable Error error) {}

  private Outcome flush(Task first) {
    try {
      unit.flush();
      return new Outcome(null, null);
    } catch (IOException | RuntimeException e) {
      return new Outcome(Failures.of(first, e), null);
    } catch (Error e) {
      return new Outcome(null, e);
    }
  }

  /** Each session in one go; several do not wait for one whose initiator takes nothing. */
  private static void tell(List<Wanted> batch, Outcome outcome) {
    List<Wanted> left = new ArrayList<>(batch);
    boolean alone = true;
    while (!left.isEmpty()) {
      Workers session = left.getFirst().answers();
      List<Task> tasks = new ArrayList<>();
      for (Iterator<Wanted> each = left.iterator(); each.hasNext(); ) {
        Wanted wanted = each.next();
        if (wanted.answers() == session) {
          tasks.add(wanted.task());
          each.remove();
        }
      }
      alone &= left.isEmpty();
      if (alone && session.canAnswerAtOnce()) {
        session.flushed(tasks, outcome);
      } else {
        Thread.ofVirtual().name("iscsi-worker").start(() -> session.flushed(tasks, outcome));
      }
    }
  }
}
