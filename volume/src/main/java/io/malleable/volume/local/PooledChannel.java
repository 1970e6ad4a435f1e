package io.malleable.volume.local;

import java.nio.channels.FileChannel;
import java.util.concurrent.atomic.AtomicLong;

/**
 * An open descriptor that its file gives back to the {@link DescriptorPool} while nothing needs it.
 *
 * <p>A call takes a hold on it first, which costs one atomic addition and no lock. It is not given
 * back as long as there is a hold, nor while something written through it is not synced: the kernel
 * tells of a failed write only those who had the file open, so the next sync would succeed and the
 * loss go unnoticed.
 */
final class PooledChannel {
  private static final int HOLD_BITS = 16;
  private static final long HOLDS = (1L << HOLD_BITS) - 1;
  private static final long ONE_WRITE = 1L << HOLD_BITS;

  /** Negative whatever late holds add to it. */
  private static final long RETIRED = Long.MIN_VALUE;

  private final FileChannel channel;

  /**
   * In the lower bits the holds, no more than there are threads; above them how many writes ended,
   * for decades of them.
   */
  private final AtomicLong state;

  /** The value of {@link #state} but for the holds when the last successful sync began. */
  private final AtomicLong synced = new AtomicLong();

  /** Counts the openings of the pool: as much time as one that decides what to close needs. */
  private final AtomicLong clock;

  /** Many threads use a channel at once, so this is written only when it changes. */
  private volatile long usedAt;

  /** When it became the youngest of the pool, by whose lock this is guarded. */
  private long queuedAt;

  private PooledChannel(FileChannel channel, AtomicLong clock, long state) {
    this.channel = channel;
    this.clock = clock;
    this.state = new AtomicLong(state);
  }

  /**
   * Comes with a hold, so that nobody closes it before its first use.
   *
   * @param clock the pool's openings
   * @param unsynced it takes the place of one that was written through
   */
  static PooledChannel held(FileChannel channel, AtomicLong clock, boolean unsynced) {
    return new PooledChannel(channel, clock, (unsynced ? ONE_WRITE : 0) + 1);
  }

  FileChannel channel() {
    return channel;
  }

  /** Takes a hold; false when the pool has closed it. */
  boolean hold() {
    if (state.getAndIncrement() < 0) {
      return false;
    }
    long now = clock.get();
    if (usedAt != now) {
      usedAt = now;
    }
    return true;
  }

  void release() {
    state.getAndDecrement();
  }

  /** The call changed the file, or tried to. */
  void releaseWritten() {
    state.getAndAdd(ONE_WRITE - 1);
  }

  /** What a sync that begins now covers: the writes that have ended. */
  long syncMark() {
    return state.get() & ~HOLDS;
  }

  void onSynced(long mark) {
    synced.accumulateAndGet(mark, Math::max);
  }

  /** It becomes the youngest of the pool. */
  void onQueued() {
    queuedAt = clock.get();
  }

  /** Whether there was no use since it became the youngest. */
  boolean idle() {
    return usedAt <= queuedAt;
  }

  /** Ends all use, unless there is a hold or an unsynced write; then it stays as it is. */
  boolean retire() {
    // Compared with one value of the state: a write that ends in between changes it.
    long seen = state.get();
    return seen == synced.get() && state.compareAndSet(seen, RETIRED);
  }
}
