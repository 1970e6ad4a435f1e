package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A thread that does the maintenance of a store whenever there is a reason, until the store is
 * closed. Its own lock guards the reason; nothing else is called under it.
 */
final class Maintainer {
  private static final Logger LOG = System.getLogger(Maintainer.class.getName());

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  // Guarded by lock. A store that was just opened may have been left with work.
  private boolean due = true;

  private volatile boolean ending;
  private volatile @Nullable Thread thread;

  /** All there is to do now. Ends early, between two steps, when asked by {@link #ending}. */
  interface Work {
    void run() throws IOException;
  }

  /** Without this, work is done only when called for. */
  void start(Work work) {
    thread = Thread.ofPlatform().daemon().name("volume-maintenance").start(() -> runInTurn(work));
  }

  private void runInTurn(Work work) {
    while (awaitDue()) {
      try {
        work.run();
      } catch (IOException | RuntimeException e) {
        LOG.log(Level.WARNING, "maintenance of the volume store stopped; next try later", e);
      } catch (Error e) {
        // Memory that was short may be there at the next try; without this thread there is none.
        LOG.log(Level.ERROR, "maintenance of the volume store stopped; next try later", e);
      }
    }
  }

  /** False when it is time to end. */
  private boolean awaitDue() {
    lock.lock();
    try {
      while (!due && !ending) {
        changed.awaitUninterruptibly();
      }
      due = false;
      return !ending;
    } finally {
      lock.unlock();
    }
  }

  /** There is a reason. */
  void soon() {
    lock.lock();
    try {
      due = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Whether there is a reason, which the caller takes care of. */
  boolean takeDue() {
    lock.lock();
    try {
      boolean taken = due;
      due = false;
      return taken;
    } finally {
      lock.unlock();
    }
  }

  boolean ending() {
    return ending;
  }

  /**
   * Asks what is under way to end, and waits for that, but not for ever.
   *
   * @return whether it has ended
   */
  boolean end() {
    lock.lock();
    try {
      ending = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    Thread running = thread;
    try {
      return running == null || running.join(Duration.ofSeconds(30));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
