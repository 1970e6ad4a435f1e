package io.malleable.app;

import java.io.PrintStream;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/**
 * A limit for waiting, counted in looks at what is awaited: while this process does not run,
 * because the computer is overloaded or paused, what it waits for does not run either.
 */
final class Patience {
  private static final Duration POLL = Duration.ofMillis(100);

  private final long limit;
  private long looks;

  Patience(Duration limit) {
    this.limit = limit.dividedBy(POLL);
  }

  /** What may be so after a while. */
  interface Condition {
    boolean holds() throws Exception;
  }

  /** Waits until something is so, and says how long that took. */
  static void await(PrintStream out, Duration limit, String what, Condition condition)
      throws Exception {
    long start = System.nanoTime();
    Patience patience = new Patience(limit);
    while (!condition.holds()) {
      if (!patience.waitOn()) {
        throw new AssertionError("not so: " + what + " within " + limit);
      }
    }
    out.printf("%s: %.1f s%n", what, (System.nanoTime() - start) / 1e9);
  }

  /** Lets some time pass; false when there has been enough. */
  boolean waitOn() {
    if (looks++ >= limit) {
      return false;
    }
    LockSupport.parkNanos(POLL.toNanos());
    return true;
  }

  /** Something has happened, so the count begins anew. */
  void renew() {
    looks = 0;
  }
}
