package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The catalogue behind the one lock of a store, which also guards what is open. It is held for the
 * constant-time part of each call only, never while volumes' data is read, written or synced in
 * bulk.
 *
 * <p>Order: whoever holds it may close a volume's gate, take the locks of its writer and that of
 * the {@link Maintainer}; nobody who holds one of those takes it.
 */
final class GuardedCatalogue {
  private final ReentrantLock lock = new ReentrantLock();
  private final Held held = new Held();
  // Guarded by lock.
  private final Catalogue catalogue;
  private volatile boolean closed;

  GuardedCatalogue(Catalogue catalogue) {
    this.catalogue = catalogue;
  }

  /** The lock, for try-with-resources. */
  final class Held implements AutoCloseable {
    private Held() {}

    Catalogue catalogue() {
      return catalogue;
    }

    @Override
    public void close() {
      lock.unlock();
    }
  }

  /**
   * For what somebody asks of the store.
   *
   * @throws VolumeException {@code UNAVAILABLE} once it is closed
   */
  Held hold() throws VolumeException {
    lock.lock();
    try {
      refuseClosed();
    } catch (VolumeException e) {
      lock.unlock();
      throw e;
    }
    return held;
  }

  /** For what goes on for long, with the lock or without it. */
  void refuseClosed() throws VolumeException {
    if (closed) {
      throw new VolumeException(Reason.UNAVAILABLE, "the volume store is closed");
    }
  }

  /** A piece of work under the lock. */
  interface Work<T extends @Nullable Object> {
    T run(Catalogue catalogue) throws IOException;
  }

  /** For what was begun before and must be ended, whether or not the store was closed since. */
  <T extends @Nullable Object> T with(Work<T> work) throws IOException {
    lock.lock();
    try {
      return work.run(catalogue);
    } finally {
      lock.unlock();
    }
  }

  /** To wait for, under the lock. */
  Condition newCondition() {
    return lock.newCondition();
  }

  /**
   * Nothing is asked of the store from now on.
   *
   * @return whether it was open
   */
  boolean close() {
    lock.lock();
    try {
      boolean open = !closed;
      closed = true;
      return open;
    } finally {
      lock.unlock();
    }
  }
}
