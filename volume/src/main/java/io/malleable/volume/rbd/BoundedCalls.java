package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs calls of several steps on threads of its own, so that nobody waits longer than the limit.
 * The limits of librados cover single requests, but neither the watch that a writable open
 * registers nor many steps that are all slow.
 *
 * <p>A call that exceeds the limit goes on: librbd cannot be interrupted. Thread-safe.
 */
final class BoundedCalls {
  private static final System.Logger LOG = System.getLogger(BoundedCalls.class.getName());

  /** Beyond that the cluster does not answer anyway, and each call holds a thread. */
  private static final int MAX_CALLS = 64;

  private final long limitNanos;
  private final Semaphore slots = new Semaphore(MAX_CALLS);
  private final ExecutorService threads =
      Executors.newCachedThreadPool(
          Thread.ofPlatform().name("rbd-call-", 0).daemon(true).factory());

  BoundedCalls(long limitNanos) {
    this.limitNanos = limitNanos;
  }

  interface Body<T> {
    T run() throws IOException;
  }

  interface Abandoned<T> {
    void release(T late) throws IOException;
  }

  /**
   * What the call gives.
   *
   * @param ended runs once nothing of the call is under way any more, which may be long after its
   *     caller has gone; also when it never began
   * @param abandoned gets what the call gives after its caller has gone
   * @throws VolumeException {@code UNAVAILABLE} when there is no result within the limit
   */
  <T> T call(String what, Runnable ended, Body<T> body, Abandoned<T> abandoned) throws IOException {
    CompletableFuture<T> result = new CompletableFuture<>();
    try {
      begin(what, ended, () -> run(what, body, abandoned, result));
      return result.get(limitNanos, TimeUnit.NANOSECONDS);
    } catch (TimeoutException | InterruptedException e) {
      return giveUp(what, result, e);
    } catch (ExecutionException e) {
      throw failed(what, Objects.requireNonNull(e.getCause()));
    }
  }

  private void begin(String what, Runnable ended, Runnable task)
      throws VolumeException, InterruptedException {
    boolean begun = false;
    try {
      if (!slots.tryAcquire(limitNanos, TimeUnit.NANOSECONDS)) {
        throw new VolumeException(
            Reason.UNAVAILABLE,
            what
                + " was not begun: "
                + MAX_CALLS
                + " calls wait for the Ceph cluster and none ends; see 'ceph -s'");
      }
      threads.execute(() -> {
        try {
          task.run();
        } finally {
          slots.release();
          ended.run();
        }
      });
      begun = true;
    } catch (RejectedExecutionException e) {
      slots.release();
      throw new VolumeException(
          Reason.UNAVAILABLE, what + " was not begun: the volume store is closed", e);
    } finally {
      if (!begun) {
        ended.run();
      }
    }
  }

  private static <T> void run(
      String what, Body<T> body, Abandoned<T> abandoned, CompletableFuture<T> result) {
    try {
      T value = body.run();
      if (!result.complete(value)) {
        LOG.log(Level.INFO, "{0} ended after its caller had given up", what);
        abandoned.release(value);
      }
    } catch (IOException | RuntimeException | Error e) {
      if (!result.completeExceptionally(e)) {
        LOG.log(Level.WARNING, what + " failed after its caller had given up", e);
      }
    }
  }

  /** The result after all if it came at this very moment. */
  private <T> T giveUp(String what, CompletableFuture<T> result, Exception reason)
      throws IOException {
    VolumeException error =
        new VolumeException(
            Reason.UNAVAILABLE,
            what
                + (reason instanceof InterruptedException
                    ? " was interrupted while it waited for the Ceph cluster"
                    : " did not end within "
                        + TimeUnit.NANOSECONDS.toSeconds(limitNanos)
                        + " s; it goes on when the Ceph cluster answers, see 'ceph -s'"),
            reason);
    boolean late = result.completeExceptionally(error);
    if (reason instanceof InterruptedException) {
      Thread.currentThread().interrupt();
    }
    if (late) {
      throw error;
    }
    try {
      return result.resultNow();
    } catch (IllegalStateException e) {
      throw failed(what, result.exceptionNow());
    }
  }

  private static IOException failed(String what, Throwable cause) {
    return switch (cause) {
      case IOException e -> e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> new IOException(what + " failed", cause);
    };
  }

  /** Idle threads end; those in a call end with it. */
  void close() {
    threads.shutdown();
  }
}
