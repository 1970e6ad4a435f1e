package io.malleable.volume.rbd;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Keeps a native handle alive while calls use it: lets calls in until it is shut for good, and then
 * waits for those inside. Thread-safe.
 */
final class Gate {
  /** Added to the number of calls inside once the gate is shut. */
  private static final int SHUT = Integer.MIN_VALUE;

  private final AtomicInteger inside = new AtomicInteger();
  private final CountDownLatch empty = new CountDownLatch(1);

  /** Whether the call may go on; it must then {@link #leave()}. */
  boolean enter() {
    return inside.getAndUpdate(calls -> calls < 0 ? calls : calls + 1) >= 0;
  }

  void leave() {
    if (inside.decrementAndGet() == SHUT) {
      empty.countDown();
    }
  }

  /** Whether everybody who was inside left within the limit; also when it was shut before. */
  boolean shut(long limitNanos) {
    int before = inside.getAndUpdate(calls -> calls < 0 ? calls : calls + SHUT);
    if (before == 0) {
      empty.countDown();
    }
    try {
      return empty.await(limitNanos, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return empty.getCount() == 0;
    }
  }
}
