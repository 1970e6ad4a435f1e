package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The catalogue behind the one lock of a store, which also guards what is open. It is held for the
 * constant-time part of each call only: never while maps are read or written, or volumes' data is
 * read, written or synced. Layers are opened here, without it.
 *
 * <p>Order: whoever holds it may close a volume's gate, take the locks of its writer and that of
 * the {@link Maintainer}; nobody who holds one of those takes it. A volume's {@link
 * ActiveVolume#chainLock} is taken before it.
 */
final class GuardedCatalogue {
  private static final Logger LOG = System.getLogger(GuardedCatalogue.class.getName());

  private final ReentrantLock lock = new ReentrantLock();
  private final Held held = new Held();
  private final Condition opened = lock.newCondition();
  private final StoreFiles files;
  private final MapMemory memory;
  // Guarded by lock.
  private final Catalogue catalogue;
  private volatile boolean closed;

  GuardedCatalogue(StoreFiles files, Catalogue catalogue) {
    this.files = files;
    this.catalogue = catalogue;
    this.memory = catalogue.open().memory();
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

  // Layers.

  /**
   * Without the lock: opens the layer and those below it, or counts one more user, who calls {@link
   * #release} in the end.
   */
  Layer acquire(UUID id) throws IOException {
    return open(with(known -> known.layers().pin(id)));
  }

  /**
   * Without the lock: opens what was pinned under it, from the ground up. A layer that somebody
   * else is opening is waited for. When this fails, nothing is pinned any more.
   */
  Layer open(LayerNode pinned) throws IOException {
    if (lock.isHeldByCurrentThread()) {
      throw new IllegalStateException("layers are not opened under the catalogue's lock");
    }
    Layer layer = null;
    try {
      while (layer == null) {
        LayerOpening next = with(known -> nextOpening(known.open(), pinned));
        if (next == null) {
          layer = pinned.open;
        } else {
          openOne(next);
        }
      }
      return layer;
    } finally {
      if (layer == null) {
        unpinQuietly(pinned);
      }
    }
  }

  private @Nullable LayerOpening nextOpening(OpenLayers open, LayerNode pinned) {
    while (true) {
      LayerNode lowest = pinned.lowestClosed();
      if (lowest == null) {
        return null;
      }
      if (!lowest.opening) {
        return open.beginOpening(lowest);
      }
      opened.awaitUninterruptibly();
    }
  }

  /** Whoever waits for a layer that could not be opened tries it for himself. */
  private void openOne(LayerOpening opening) throws IOException {
    LayerOpening.Opened read = null;
    try {
      read = opening.read(files, memory);
    } finally {
      end(opening, read);
    }
  }

  private void end(LayerOpening opening, LayerOpening.@Nullable Opened read) {
    lock.lock();
    try {
      opening.node().opening = false;
      if (read != null) {
        catalogue.open().opened(opening.node(), read);
      }
      opened.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** On the way out with another error. */
  private void unpinQuietly(LayerNode pinned) {
    try {
      with(known -> {
        known.open().unpin(pinned);
        return null;
      });
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot close what layer " + pinned.id + " stands on", e);
    }
  }

  /** One user less of an open layer; closes what nobody uses. */
  void release(Layer layer) throws IOException {
    with(known -> {
      known.open().release(layer);
      return null;
    });
  }
}
