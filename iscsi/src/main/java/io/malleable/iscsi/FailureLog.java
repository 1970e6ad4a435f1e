package io.malleable.iscsi;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * One kind of failure, told at most once a second: on a store that is full or broken, an initiator
 * makes thousands of commands fail in that time. Safe for any thread.
 */
final class FailureLog {
  private static final long INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Logger log;
  private final String what;
  private final LongSupplier nanoClock;
  private final AtomicLong nextNanos;
  private final AtomicLong untold = new AtomicLong();

  FailureLog(Logger log, String what, LongSupplier nanoClock) {
    this.log = log;
    this.what = what;
    this.nanoClock = nanoClock;
    this.nextNanos = new AtomicLong(nanoClock.getAsLong());
  }

  void log(Exception cause) {
    long now = nanoClock.getAsLong();
    long next = nextNanos.get();
    if (now - next < 0 || !nextNanos.compareAndSet(next, now + INTERVAL_NANOS)) {
      untold.incrementAndGet();
      return;
    }
    long before = untold.getAndSet(0);
    log.log(
        Level.ERROR,
        before == 0 ? what : what + " (and " + before + " times since this was last said)",
        cause);
  }
}
