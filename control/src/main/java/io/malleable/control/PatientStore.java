package io.malleable.control;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeFault;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;

/**
 * Asks the store for those who only want to show something: they get an answer soon, and one that
 * the store owes nobody waits for twice. Safe for all threads.
 */
final class PatientStore {
  /** One may be about something slow; so many are an outage. */
  static final int MAX_OVERDUE = 4;

  /** What all questions of one request may take together, in times of what one may. */
  private static final int TOGETHER = 4;

  private final VolumeStore volumes;
  private final Duration patience;

  /** Questions that somebody has given up on, and that the store still works on. */
  private final AtomicInteger overdue = new AtomicInteger();

  /**
   * Asks nothing yet.
   *
   * @param patience much longer than an answer takes, and no longer than a person waits
   */
  PatientStore(VolumeStore volumes, Duration patience) {
    this.volumes = volumes;
    this.patience = patience;
  }

  /** A call that changes nothing. */
  interface Question<T> {
    T ask(VolumeStore volumes) throws IOException;
  }

  /**
   * What the store answers.
   *
   * @throws VolumeException {@code UNAVAILABLE} also when it does not answer in time, or has not
   *     answered several earlier questions yet
   */
  <T> T ask(Question<T> question) throws IOException {
    return ask(question, deadlineNanos());
  }

  /** Those volumes whose storage failed; the store knows without asking anybody. */
  Map<UUID, VolumeFault> faults() {
    return volumes.faults();
  }

  /** By when all questions of a request that begins now have to be answered, as nanoTime tells. */
  long deadlineNanos() {
    return System.nanoTime() + TOGETHER * patience.toNanos();
  }

  /** The same, with an end at this time if that is earlier. */
  <T> T ask(Question<T> question, long deadlineNanos) throws IOException {
    long nanos = Math.min(patience.toNanos(), deadlineNanos - System.nanoTime());
    if (nanos <= 0) {
      throw new VolumeException(
          VolumeException.Reason.UNAVAILABLE, "it took too long for the questions before");
    }
    if (overdue.get() >= MAX_OVERDUE) {
      throw new VolumeException(
          VolumeException.Reason.UNAVAILABLE, "it has not answered earlier questions yet");
    }
    CompletableFuture<T> answer = begin(question);
    try {
      return await(answer, nanos);
    } catch (TimeoutException e) {
      overdue.incrementAndGet();
      CompletableFuture<T> _ = answer.whenComplete((_, _) -> overdue.decrementAndGet());
      throw new VolumeException(
          VolumeException.Reason.UNAVAILABLE,
          "it has not answered for " + TimeUnit.NANOSECONDS.toMillis(nanos) / 1000.0 + " s",
          e);
    }
  }

  /** Asks something that may take long; nobody has to wait for it. */
  <T> CompletableFuture<T> begin(Question<T> question) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    Thread.ofVirtual()
        .name("store-question")
        .start(() -> {
          try {
            answer.complete(question.ask(volumes));
          } catch (IOException | RuntimeException | Error e) {
            answer.completeExceptionally(e);
          }
        });
    return answer;
  }

  /** The answer if it comes in time. */
  <T> T await(Future<T> answer) throws IOException, TimeoutException {
    return await(answer, patience.toNanos());
  }

  /** Whether the lock could be had in time; the caller unlocks it then. */
  boolean tryLock(Lock lock) throws InterruptedException {
    return lock.tryLock(patience.toNanos(), TimeUnit.NANOSECONDS);
  }

  private static <T> T await(Future<T> answer, long nanos) throws IOException, TimeoutException {
    try {
      return answer.get(nanos, TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException failure -> throw failure;
        case RuntimeException defect -> throw defect;
        case Error defect -> throw defect;
        case null, default -> throw new IOException(e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the store was asked", e);
    }
  }
}
