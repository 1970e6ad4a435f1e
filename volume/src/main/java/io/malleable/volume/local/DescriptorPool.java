package io.malleable.volume.local;

import io.malleable.volume.posix.Posix;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The descriptors of the local store's files: a bounded number, whatever is in use. The one that
 * was not used for longest, roughly, is closed for the next; its file opens another when it is used
 * again. One that must stay, see {@link PooledChannel}, does so beyond the bound.
 *
 * <p>An open file is known to the system by more than its name: it goes on when that is deleted or
 * taken by another file. Here it has to be open for that, so it is kept open from then on.
 */
public final class DescriptorPool {
  private static final System.Logger LOG = System.getLogger(DescriptorPool.class.getName());

  /** For a process that does not say how many descriptors it may have. */
  private static final int DEFAULT_LIMIT = 1024;

  private static final DescriptorPool OF_PROCESS = new DescriptorPool(DEFAULT_LIMIT);

  /** How many one opening looks at to find some to close: it should not take longer the more. */
  private static final int LOOKS = 256;

  /** Closed at once when the system has no more, as others want them as well. */
  private static final int EVICTED_AT_ONCE = 4;

  private static final int ATTEMPTS = 100;
  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

  private final AtomicLong openings = new AtomicLong();
  private final ReentrantLock lock = new ReentrantLock();

  // All guarded by the lock; the oldest is the first.
  private final SequencedSet<PooledChannel> open = new LinkedHashSet<>();
  private final Map<Path, List<LocalFile>> named = new HashMap<>();
  private int limit;

  DescriptorPool(int limit) {
    this.limit = limit;
  }

  /** The pool of this process, as the system's limit is that of a process. */
  public static DescriptorPool ofProcess() {
    return OF_PROCESS;
  }

  /** Bounds the pool; those that are too many are closed as others are opened. */
  public void limitTo(int descriptors) {
    if (descriptors < 1) {
      throw new IllegalArgumentException("descriptors " + descriptors + "; give at least 1");
    }
    lock.lock();
    try {
      limit = descriptors;
    } finally {
      lock.unlock();
    }
  }

  /** How many are open. */
  public int size() {
    lock.lock();
    try {
      return open.size();
    } finally {
      lock.unlock();
    }
  }

  /** Something that needs a descriptor. */
  interface Opening<T> {
    T open() throws IOException;
  }

  /** What its channels tell the time by. */
  AtomicLong openings() {
    return openings;
  }

  /** Opens a file, which comes with a hold, within the bound. */
  PooledChannel channel(Opening<PooledChannel> opening) throws IOException {
    closeAll(surplus());
    PooledChannel channel = withDescriptor(opening);
    lock.lock();
    try {
      openings.incrementAndGet();
      queue(channel);
    } finally {
      lock.unlock();
    }
    return channel;
  }

  /** The file has closed it. */
  void forget(PooledChannel channel) {
    lock.lock();
    try {
      open.remove(channel);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Does something that needs a descriptor for itself. When the system has none left, some of ours
   * are closed and it is tried again, for about a second.
   */
  <T> T withDescriptor(Opening<T> opening) throws IOException {
    for (int attempt = 1; ; attempt++) {
      try {
        return opening.open();
      } catch (IOException e) {
        if (!Posix.outOfDescriptors(e) || attempt == ATTEMPTS) {
          throw e;
        }
        List<PooledChannel> idle = idle();
        closeAll(idle);
        if (idle.isEmpty()) {
          // All are in use this very moment, or unsynced.
          LockSupport.parkNanos(PAUSE_NANOS);
        }
      }
    }
  }

  /** The file, which was just opened, has that name. */
  void onNamed(LocalFile file, Path path) {
    lock.lock();
    try {
      named.computeIfAbsent(path, key -> new ArrayList<>(1)).add(file);
    } finally {
      lock.unlock();
    }
  }

  /** The file is closed for good. */
  void onClosed(LocalFile file, Path path) {
    lock.lock();
    try {
      named.computeIfPresent(
          path,
          (key, files) -> {
            files.remove(file);
            return files.isEmpty() ? null : files;
          });
    } finally {
      lock.unlock();
    }
  }

  /** Before a name is deleted or given to another file: who has the file goes on with it. */
  void keep(Path path) throws IOException {
    List<LocalFile> files;
    lock.lock();
    try {
      files = List.copyOf(named.getOrDefault(path.toAbsolutePath().normalize(), List.of()));
    } finally {
      lock.unlock();
    }
    for (LocalFile file : files) {
      file.keep();
    }
  }

  private List<PooledChannel> surplus() {
    lock.lock();
    try {
      return retire(open.size() - limit + 1, Math.min(LOOKS, 2 * open.size()));
    } finally {
      lock.unlock();
    }
  }

  private List<PooledChannel> idle() {
    lock.lock();
    try {
      return retire(EVICTED_AT_ONCE, 2 * open.size());
    } finally {
      lock.unlock();
    }
  }

  /** At most so many, after at most so many looks; under the lock. */
  private List<PooledChannel> retire(int most, int looks) {
    List<PooledChannel> retired = new ArrayList<>();
    for (int look = 0; look < looks && retired.size() < most && !open.isEmpty(); look++) {
      PooledChannel evicted = oldest();
      if (evicted != null) {
        retired.add(evicted);
      }
    }
    return retired;
  }

  /** Retires the oldest one, or makes it the youngest when it was used since, or must stay. */
  private @Nullable PooledChannel oldest() {
    PooledChannel oldest = open.removeFirst();
    if (oldest.idle() && oldest.retire()) {
      return oldest;
    }
    queue(oldest);
    return null;
  }

  private void queue(PooledChannel youngest) {
    youngest.onQueued();
    open.addLast(youngest);
  }

  private static void closeAll(List<PooledChannel> retired) {
    for (PooledChannel channel : retired) {
      try {
        channel.channel().close();
      } catch (IOException e) {
        // All that was written is synced: nothing can be lost with it.
        LOG.log(Level.WARNING, "a file that was not in use could not be closed", e);
      }
    }
  }
}
