package io.malleable.iscsi;

import io.malleable.iscsi.SpaceRefusal.Answer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.UUID;
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

  /** Asked without the lock after each write that went well. */
  private volatile boolean refuses;

  // Guarded by this.
  private boolean refused;
  private long firstNanos;
  private long lastNanos;

  // What goes on now, for people; guarded by this.
  private byte[] lastCdb = new byte[0];
  private String lastReason = "";
  private boolean unitFull;
  private long sinceNanos;
  private long shownNanos;

  FullStore(Duration busy, LongSupplier nanoClock) {
    this.busyNanos = busy.toNanos();
    this.nanoClock = nanoClock;
  }

  /**
   * A write was refused for lack of space: whether the initiator is to send it again.
   *
   * @param cdb of the write; copied
   */
  synchronized boolean holdsBack(byte[] cdb, OutOfSpaceException e) {
    long now = nanoClock.getAsLong();
    show(cdb, e, now);
    if (unitFull) {
      return false;
    }
    if (!refused || now - lastNanos > OVER_NANOS) {
      refused = true;
      firstNanos = now;
    }
    lastNanos = now;
    return holds(now);
  }

  private boolean holds(long now) {
    return now - firstNanos < busyNanos;
  }

  private void show(byte[] cdb, OutOfSpaceException e, long now) {
    if (!refuses || now - shownNanos > OVER_NANOS) {
      sinceNanos = now;
    }
    refuses = true;
    shownNanos = now;
    lastCdb = cdb.clone();
    lastReason = String.valueOf(e.getMessage());
    unitFull = e.scope() == OutOfSpaceException.Scope.UNIT;
  }

  /** A write was done; initiators send the very same command again that was refused. */
  void onDone(byte[] cdb) {
    if (refuses) {
      done(cdb);
    }
  }

  private synchronized void done(byte[] cdb) {
    if (Arrays.equals(lastCdb, cdb)) {
      // The time that counts goes on: where room comes in drops, no command waits for ever.
      refuses = false;
    }
  }

  /** What goes on now; empty when no write is refused. */
  synchronized Optional<SpaceRefusal> refusal(String target, UUID logicalUnit) {
    long now = nanoClock.getAsLong();
    if (!refuses || now - shownNanos > OVER_NANOS) {
      return Optional.empty();
    }
    Answer answer = unitFull ? Answer.UNIT_FULL : holds(now) ? Answer.HELD : Answer.STORE_FULL;
    return Optional.of(
        new SpaceRefusal(
            target, logicalUnit, answer, Duration.ofNanos(now - sinceNanos), lastReason));
  }
}
