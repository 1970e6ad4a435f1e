package io.malleable.volume.rbd;

import io.malleable.volume.Capacity;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Copies what an image inherits into it, object by object, which librbd does on a thread of its own
 * while the caller watches; the image may be in use. It can be ended between any two objects and
 * begun again: objects that the image has are not copied twice, and its parent stays until all are.
 * The bytes shown are whole objects. For one use by one thread.
 */
final class RbdFlattening {
  /** How soon the end is noticed if librbd is silent. */
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** What is left to the machines, as a part of the pool. */
  private static final int LEFT_PARTS = 20;

  private final UUID disk;
  private final RbdImage image;
  private final TransferProgress progress;
  private final BooleanSupplier closing;
  private long totalBytes;
  private long shownBytes;

  /** Read by librbd's threads. */
  private volatile boolean end;

  private boolean cancelled;
  private boolean interrupted;

  /** Unchecked. */
  private @Nullable Throwable defect;

  /**
   * Does nothing yet.
   *
   * @param closing whether the volume or the store is being closed, which ends it as well
   */
  RbdFlattening(UUID disk, RbdImage image, TransferProgress progress, BooleanSupplier closing) {
    this.disk = disk;
    this.image = image;
    this.progress = progress;
    this.closing = closing;
  }

  /**
   * Copies; afterwards the image has no parent.
   *
   * @throws VolumeException {@code OUT_OF_SPACE} before the first byte if the pool has no room for
   *     it; {@code CANCELLED}
   * @throws CephException {@code ECANCELED} when the volume or the store is being closed
   */
  void copyUp() throws IOException {
    totalBytes = inheritedBytes(RbdImage.Detail.OBJECTS);
    requireRoom();
    try {
      look(0);
      if (end) {
        throw ended(new CephException("rbd_flatten", -CephException.ECANCELED));
      }
      copy();
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    progress.onProgress(totalBytes, totalBytes);
  }

  private long inheritedBytes(RbdImage.Detail detail) throws IOException {
    return Math.max(0, bytes(true, detail) - bytes(false, detail));
  }

  private long bytes(boolean ancestors, RbdImage.Detail detail) throws IOException {
    List<RbdImage.Run> runs = image.allocated(0, image.sizeBytes(), ancestors, detail);
    return runs.stream().mapToLong(RbdImage.Run::lengthBytes).sum();
  }

  private void requireRoom() throws IOException {
    Capacity pool = image.cluster().capacity();
    long free = pool.availableBytes() - pool.totalBytes() / LEFT_PARTS;
    // Of an object only what was written is copied; to know how much takes a request for each.
    if (totalBytes > free && inheritedBytes(RbdImage.Detail.WRITTEN) > free) {
      throw new VolumeException(
          Reason.OUT_OF_SPACE,
          "flattening disk "
              + disk
              + " takes "
              + totalBytes
              + " bytes, and the pool "
              + image.cluster().config().pool()
              + " has "
              + Math.max(0, free)
              + " to give beside what machines may want to write");
    }
  }

  private void copy() throws IOException {
    CompletableFuture<Boolean> result = new CompletableFuture<>();
    Thread watcher = Thread.currentThread();
    try (ProgressCallback callback = new ProgressCallback(() -> end, watcher)) {
      Thread.ofPlatform()
          .name("rbd-flatten")
          .daemon(true)
          .start(() -> {
            try {
              image.flatten(callback);
              result.complete(true);
            } catch (IOException | RuntimeException | Error e) {
              result.completeExceptionally(e);
            } finally {
              LockSupport.unpark(watcher);
            }
          });
      while (!result.isDone()) {
        LockSupport.parkNanos(this, LOOK_NANOS);
        look((long) (totalBytes * callback.done()));
      }
    }
    if (result.isCompletedExceptionally()) {
      throw ended(result.exceptionNow());
    }
  }

  /** Nothing may end this loop but librbd: it uses the image until then. */
  private void look(long doneBytes) {
    if (Thread.interrupted()) {
      interrupted = true;
    }
    if (!interrupted && defect == null) {
      try {
        shownBytes = Math.max(shownBytes, doneBytes);
        progress.onProgress(shownBytes, totalBytes);
        cancelled |= progress.cancelled();
      } catch (RuntimeException | Error e) {
        defect = e;
      }
    }
    end = interrupted || cancelled || defect != null || closing.getAsBoolean();
  }

  private IOException ended(Throwable cause) {
    if (defect instanceof RuntimeException ofWatcher) {
      throw ofWatcher;
    }
    if (defect instanceof Error ofWatcher) {
      throw ofWatcher;
    }
    boolean onRequest =
        cause instanceof CephException e && e.errno() == CephException.ECANCELED && cancelled;
    if (onRequest) {
      return new VolumeException(
          Reason.CANCELLED, "flattening disk " + disk + " was cancelled; it can be begun again");
    }
    return switch (cause) {
      case IOException e -> e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> new IOException("flattening disk " + disk + " failed", cause);
    };
  }
}
