package io.malleable.netboot;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;
import org.opentest4j.AssertionFailedError;

/** Waits for a condition with a deadline that only a hang exceeds. */
final class Eventually {
  private Eventually() {}

  static void holds(String what, Duration deadline, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + deadline.toNanos();
    while (!condition.call()) {
      if (System.nanoTime() > end) {
        throw new AssertionFailedError("not within " + deadline + ": " + what);
      }
      LockSupport.parkNanos(50_000_000);
    }
  }
}
