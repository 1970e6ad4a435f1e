package io.malleable.iscsi;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * How long the writes that a full store refuses are answered BUSY, which initiators take back into
 * their queue and send again, before they fail: the time in which somebody, or the store itself,
 * may make room. Counted from the first refusal, not for each command, so that a machine whose
 * queue is full of writes waits once. Safe for any thread.
 */
final class FullStore {
  /** Without a refusal for so long, the next is the first of another time. */
  private static final long OVER_NANOS = TimeUnit.MINUTES.toNanos(1);

  private final long busyNanos;
  private final LongSupplier nanoClock;

  // Guarded by this.
  private boolean refused;
  private long firstNanos;
  private long lastNanos;

  FullStore(Duration busy, LongSupplier nanoClock) {
    this.busyNanos = busy.toNanos();
    this.nanoClock = nanoClock;
  }

  /** The store has refused a write for lack of space: whether the initiator is to send it again. */
  synchronized boolean holdsBack() {
    long now = nanoClock.getAsLong();
    if (!refused || now - lastNanos > OVER_NANOS) {
      refused = true;
      firstNanos = now;
    }
    lastNanos = now;
    return now - firstNanos < busyNanos;
  }
}
