package io.malleable.control;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Wakes those who wait for news. Keeps no news itself, so a slow reader costs nothing. */
final class Signal {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition raised = lock.newCondition();
  private long count;

  void raise() {
    lock.lock();
    try {
      count++;
      raised.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Looks, and looks again after each signal, until there is something or the time is over. */
  <T> @Nullable T await(Supplier<@Nullable T> look, long timeoutMillis)
      throws InterruptedException {
    long deadlineNanos = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMillis);
    while (true) {
      long before = count();
      T found = look.get();
      if (found != null || !awaitBeyond(before, deadlineNanos)) {
        return found;
      }
    }
  }

  private long count() {
    lock.lock();
    try {
      return count;
    } finally {
      lock.unlock();
    }
  }

  private boolean awaitBeyond(long before, long deadlineNanos) throws InterruptedException {
    lock.lock();
    try {
      while (count == before) {
        long leftNanos = deadlineNanos - System.nanoTime();
        if (leftNanos <= 0 || raised.awaitNanos(leftNanos) <= 0) {
          return count != before;
        }
      }
      return true;
    } finally {
      lock.unlock();
    }
  }
}
