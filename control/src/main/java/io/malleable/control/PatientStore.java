package io.malleable.control;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Asks the store for those who only want to show something: they get an answer soon, and one that
 * the store owes nobody waits for twice. Safe for all threads.
 */
final class PatientStore {
  /** Much longer than an answer takes, and no longer than a person waits for a list. */
  static final Duration PATIENCE = Duration.ofSeconds(5);

  private final VolumeStore volumes;
  private final Duration patience;

  /** Questions that somebody has given up on, and that the store still works on. */
  private final AtomicInteger overdue = new AtomicInteger();

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
   *     answered an earlier question yet
   */
  <T> T ask(Question<T> question) throws IOException {
    if (overdue.get() > 0) {
      throw new VolumeException(
          VolumeException.Reason.UNAVAILABLE, "it has not answered an earlier question yet");
    }
    CompletableFuture<T> answer = begin(question);
    try {
      return await(answer);
    } catch (TimeoutException e) {
      overdue.incrementAndGet();
      CompletableFuture<T> _ = answer.whenComplete((_, _) -> overdue.decrementAndGet());
      throw new VolumeException(
          VolumeException.Reason.UNAVAILABLE,
          "it has not answered for " + patience.toMillis() / 1000.0 + " s",
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
    try {
      return answer.get(patience.toNanos(), TimeUnit.NANOSECONDS);
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
