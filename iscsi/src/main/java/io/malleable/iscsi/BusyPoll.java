package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * The receiving side of a connection's socket. An initiator that waits for answers sends its next
 * command in less time than a thread takes to fall asleep and be woken, on a virtual processor
 * above all; so the connection thread polls for about that long before it sleeps.
 *
 * <p>It does so only for an initiator whose last waits were short, and only if a permit is free:
 * permits are fewer than processors, so that polling takes none from threads with work to do. Owned
 * by the connection thread.
 *
 * <p>While an initiator with a deep queue is still sending, the first answers wait a moment for the
 * next commands, so that fewer and larger segments carry them.
 */
final class BusyPoll implements ReadableByteChannel {
  /** Longest poll: what it costs to sleep and be woken, so never more than twice the best. */
  private static final long POLL_NANOS = TimeUnit.MICROSECONDS.toNanos(50);

  /** A wait in sleep that polling would have made a short one; the wake-up is part of it. */
  private static final long SHORT_WAIT_NANOS = 2 * POLL_NANOS;

  /** A poll this much too long was interrupted: somebody else needs the processor. */
  private static final long PREEMPTED_NANOS = 10 * POLL_NANOS;

  /** About 1 µs between two looks: each takes the socket's lock, for which the sender waits. */
  private static final int PAUSES = 32;

  /** Longest poll with answers that wait to be sent: less than what sending them alone costs. */
  private static final long GATHER_NANOS = TimeUnit.MICROSECONDS.toNanos(5);

  private static final int MAX_GATHER_CREDIT = 64;
  private static final int FAILED_GATHER_COST = 16;
  private static final int GATHER_DEBT = -256;

  private static final int MAX_CREDIT = 8;
  private static final int CREDIT_TO_POLL = 4;
  private static final int FAILED_POLL_COST = 4;
  private static final int PREEMPTION_DEBT = -256;

  private final SocketChannel channel;
  private final Semaphore permits;
  private final LongSupplier nanoClock;

  /** Rises by each short wait, is lost by a long one; polling wants {@link #CREDIT_TO_POLL}. */
  private int credit;

  /**
   * The same for gathering. It pays for an initiator with a deep queue, which is still sending when
   * the first answers are ready; one with a short queue waits for them, so each attempt is lost
   * time.
   */
  private int gatherCredit;

  private boolean stopped;

  /** Answers are being made elsewhere, for which the initiator may be waiting itself. */
  private boolean owing;

  BusyPoll(SocketChannel channel, Semaphore permits, LongSupplier nanoClock) {
    this.channel = channel;
    this.permits = permits;
    this.nanoClock = nanoClock;
  }

  /** For {@code processors}, of which at least half never poll. */
  static Semaphore permits(int processors) {
    return new Semaphore(processors / 2);
  }

  /**
   * From here on it never polls: other threads will send, and to change how the socket blocks waits
   * for a send that is under way.
   */
  void stop() throws IOException {
    if (!stopped) {
      stopped = true;
      channel.configureBlocking(true);
    }
  }

  /** How long the initiator takes says nothing about it while answers are owed to it. */
  void owing(boolean answers) {
    owing = answers;
  }

  /** Waits for bytes, asleep. */
  @Override
  public int read(ByteBuffer buffer) throws IOException {
    if (!channel.isBlocking()) {
      channel.configureBlocking(true);
    }
    if (stopped || owing) {
      return channel.read(buffer);
    }
    long startNanos = nanoClock.getAsLong();
    int count = channel.read(buffer);
    boolean shortWait = nanoClock.getAsLong() - startNanos < SHORT_WAIT_NANOS;
    credit = shortWait ? Math.min(credit + 1, MAX_CREDIT) : Math.min(credit, 0);
    return count;
  }

  /**
   * Polls for bytes, if the initiator is worth it.
   *
   * @param lookAnyway look at least once, as a sleep would cost the caller something
   * @return as a read; 0 when nothing came in time
   */
  int poll(ByteBuffer buffer, boolean lookAnyway) throws IOException {
    if (stopped) {
      return 0;
    }
    if (credit >= CREDIT_TO_POLL && permits.tryAcquire()) {
      int count;
      try {
        count = spin(buffer);
      } finally {
        permits.release();
      }
      if (count != 0) {
        credit = Math.min(credit + 1, MAX_CREDIT);
      }
      return count;
    }
    return lookAnyway ? look(buffer) : 0;
  }

  /** Whether more commands are to be expected while answers wait. */
  boolean gathers() {
    if (stopped || credit < CREDIT_TO_POLL) {
      return false;
    }
    if (gatherCredit < 0) {
      gatherCredit++;
      return false;
    }
    return true;
  }

  /** Polls for a moment, with answers that wait to be sent; 0 when nothing came. */
  int gather(ByteBuffer buffer) throws IOException {
    int count = look(buffer);
    long startNanos = count == 0 ? nanoClock.getAsLong() : 0;
    while (count == 0 && nanoClock.getAsLong() - startNanos < GATHER_NANOS) {
      pause();
      count = look(buffer);
    }
    if (count != 0) {
      gatherCredit = Math.min(gatherCredit + 1, MAX_GATHER_CREDIT);
    } else {
      gatherCredit -= FAILED_GATHER_COST;
      gatherCredit = gatherCredit < 0 ? GATHER_DEBT : gatherCredit;
    }
    return count;
  }

  /** Takes what is here already. */
  int look(ByteBuffer buffer) throws IOException {
    if (channel.isBlocking()) {
      channel.configureBlocking(false);
    }
    return channel.read(buffer);
  }

  private int spin(ByteBuffer buffer) throws IOException {
    int count = look(buffer);
    if (count != 0) {
      return count;
    }
    long startNanos = nanoClock.getAsLong();
    while (true) {
      pause();
      count = channel.read(buffer);
      if (count != 0) {
        return count;
      }
      long elapsedNanos = nanoClock.getAsLong() - startNanos;
      if (elapsedNanos > POLL_NANOS) {
        if (elapsedNanos > PREEMPTED_NANOS) {
          credit = PREEMPTION_DEBT;
        } else if (!owing) {
          credit -= FAILED_POLL_COST;
        }
        return 0;
      }
    }
  }

  private static void pause() {
    for (int i = 0; i < PAUSES; i++) {
      Thread.onSpinWait();
    }
  }

  @Override
  public boolean isOpen() {
    return channel.isOpen();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
