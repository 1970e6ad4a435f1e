package io.malleable.iscsi;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Finds out that a peer is dead or stalls on purpose: login that does not end, a PDU that is not
 * completed, data that is not sent or not taken, pings that are not answered. Ticked by the timer
 * thread, told by the connection thread when that waits.
 */
final class Watch {
  /** What is to be done about the connection now. */
  record Verdict(@Nullable SessionEnd end, boolean ping) {
    static final Verdict NOTHING = new Verdict(null, false);
    static final Verdict PING = new Verdict(null, true);

    static Verdict timeout(String detail) {
      return new Verdict(new SessionEnd(SessionEnd.Cause.TIMEOUT, detail), false);
    }
  }

  private final long loginTimeoutNanos;
  private final long pingIntervalNanos;
  private final long stallTimeoutNanos;
  private final PduReader reader;
  private final Outbound outbound;
  private final long startedNanos = System.nanoTime();

  private volatile boolean loggedIn;
  private volatile boolean waiting;

  // Of the timer thread.
  private long seenBytes;
  private long quietSinceNanos = startedNanos;
  private boolean pinged;

  /** When the ping left, or 0 while it waits for its turn; told by the thread that sends it. */
  private volatile long pingSentNanos;

  private volatile boolean pingSkipped;

  Watch(IscsiServerConfig config, PduReader reader, Outbound outbound) {
    this.loginTimeoutNanos = nanos(config.loginTimeout());
    this.pingIntervalNanos = nanos(config.pingInterval());
    this.stallTimeoutNanos = nanos(config.stallTimeout());
    this.reader = reader;
    this.outbound = outbound;
  }

  private static long nanos(Duration duration) {
    return duration.toNanos();
  }

  void loggedIn() {
    loggedIn = true;
  }

  void waiting(boolean nowWaiting) {
    waiting = nowWaiting;
  }

  /** A ping has left: from here on the initiator's answer is due. */
  void pingSent(long nowNanos) {
    pingSentNanos = nowNanos | 1;
  }

  /** A ping was not sent, because the connection was sending just then or no thread was left. */
  void pingSkipped() {
    pingSkipped = true;
  }

  /**
   * Looks at the clocks.
   *
   * @param expectingSinceNanos when the initiator last did something about data that it owes, or 0
   */
  Verdict tick(long nowNanos, long expectingSinceNanos) {
    if (!loggedIn && nowNanos - startedNanos > loginTimeoutNanos) {
      return Verdict.timeout("login not finished in time");
    }
    long partialSince = reader.partialSinceNanos();
    if (partialSince != 0 && waiting && nowNanos - partialSince > stallTimeoutNanos) {
      return Verdict.timeout("a PDU was begun and not completed");
    }
    if (expectingSinceNanos != 0 && waiting && nowNanos - expectingSinceNanos > stallTimeoutNanos) {
      return Verdict.timeout("data that was asked for does not come");
    }
    long sendingSince = outbound.sendingSinceNanos();
    if (sendingSince != 0 && nowNanos - sendingSince > stallTimeoutNanos) {
      return Verdict.timeout("the initiator takes no data");
    }
    return loggedIn ? quiet(nowNanos) : Verdict.NOTHING;
  }

  private Verdict quiet(long nowNanos) {
    long received = reader.receivedBytes();
    if (received != seenBytes || !waiting) {
      seenBytes = received;
      quietSinceNanos = nowNanos;
      pinged = false;
      return Verdict.NOTHING;
    }
    if (pinged && pingSkipped) {
      quietSinceNanos = nowNanos;
      pinged = false;
      return Verdict.NOTHING;
    }
    if (pinged) {
      long sent = pingSentNanos;
      return sent != 0 && nowNanos - sent > stallTimeoutNanos
          ? Verdict.timeout("no answer to a ping")
          : Verdict.NOTHING;
    }
    if (nowNanos - quietSinceNanos > pingIntervalNanos) {
      pinged = true;
      pingSkipped = false;
      pingSentNanos = 0;
      return Verdict.PING;
    }
    return Verdict.NOTHING;
  }
}
