package io.malleable.iscsi;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;

/**
 * Who may reach the medium of one unit beside whom: an access is shared, or alone as a
 * read-modify-write command, a reset and the taking away of the unit are, or alone on its blocks as
 * an atomic write is. That one makes its data durable before it ends, which can take as long as the
 * medium is slow; so it keeps nobody waiting but those who want the same blocks, and who wants to
 * be alone does not keep others waiting while it lasts. Safe for any thread.
 */
final class MediumAccess {
  private final StampedLock lock = new StampedLock();

  /**
   * Held by whoever waits to be alone. A {@link StampedLock} lets those that share it overtake, so
   * that under load a reset or a COMPARE AND WRITE would never get its turn.
   */
  private final ReentrantLock turnstile = new ReentrantLock(true);

  private volatile boolean exclusiveWanted;

  /** The atomic write that is under way; set while alone, guarded by this besides. */
  private volatile @Nullable Task atomicWrite;

  /** Begins a shared access; ends with {@link #unlockRead}. */
  long shared(Task task) {
    long stamp = lockShared();
    Task atomic = atomicWrite;
    while (atomic != null && meet(atomic, task)) {
      lock.unlockRead(stamp);
      awaitEnd(atomic);
      stamp = lockShared();
      atomic = atomicWrite;
    }
    return stamp;
  }

  private long lockShared() {
    if (!exclusiveWanted) {
      return lock.readLock();
    }
    turnstile.lock();
    try {
      return lock.readLock();
    } finally {
      turnstile.unlock();
    }
  }

  /** Begins an access that runs alone; ends with {@link #unlockWrite}. */
  long exclusive(Task task) {
    long stamp = lockExclusive();
    Task atomic = atomicWrite;
    while (atomic != null && (meet(atomic, task) || task.spec().atomic())) {
      lock.unlockWrite(stamp);
      awaitEnd(atomic);
      stamp = lockExclusive();
      atomic = atomicWrite;
    }
    return stamp;
  }

  private long lockExclusive() {
    turnstile.lock();
    try {
      exclusiveWanted = true;
      return lock.writeLock();
    } finally {
      exclusiveWanted = false;
      turnstile.unlock();
    }
  }

  /**
   * Waits until nothing reaches the medium, and keeps it so until {@link #unlockWrite}.
   *
   * @return 0 when an access did not end within the limit
   */
  long tryExclusive(long waitLimitMillis) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(waitLimitMillis);
    try {
      while (true) {
        Task atomic = atomicWrite;
        if (atomic != null && !awaitEnd(atomic, deadline)) {
          return 0;
        }
        long stamp = tryLockExclusive(deadline);
        if (stamp == 0 || atomicWrite == null) {
          return stamp;
        }
        lock.unlockWrite(stamp);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }

  private long tryLockExclusive(long deadlineNanos) throws InterruptedException {
    if (!turnstile.tryLock(deadlineNanos - System.nanoTime(), TimeUnit.NANOSECONDS)) {
      return 0;
    }
    try {
      exclusiveWanted = true;
      return lock.tryWriteLock(deadlineNanos - System.nanoTime(), TimeUnit.NANOSECONDS);
    } finally {
      exclusiveWanted = false;
      turnstile.unlock();
    }
  }

  void unlockRead(long stamp) {
    lock.unlockRead(stamp);
  }

  void unlockWrite(long stamp) {
    lock.unlockWrite(stamp);
  }

  /** Turns an access that runs alone into one that is alone on the blocks of its task. */
  void beginAtomicWrite(Task task, long exclusiveStamp) {
    synchronized (this) {
      atomicWrite = task;
    }
    lock.unlockWrite(exclusiveStamp);
  }

  synchronized void endAtomicWrite() {
    atomicWrite = null;
    notifyAll();
  }

  /** A command without a range of its own may want any block. */
  private static boolean meet(Task atomic, Task task) {
    return task.blocks == 0
        || (task.lba < atomic.lba + atomic.blocks && atomic.lba < task.lba + task.blocks);
  }

  private void awaitEnd(Task atomic) {
    boolean ended = false;
    boolean interrupted = false;
    while (!ended) {
      try {
        ended = awaitEnd(atomic, System.nanoTime() + TimeUnit.MINUTES.toNanos(1));
      } catch (InterruptedException e) {
        // How long this takes is the store's to bound, as with every other access.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized boolean awaitEnd(Task atomic, long deadlineNanos)
      throws InterruptedException {
    while (atomicWrite == atomic) {
      long remainingNanos = deadlineNanos - System.nanoTime();
      if (remainingNanos <= 0) {
        return false;
      }
      TimeUnit.NANOSECONDS.timedWait(this, remainingNanos);
    }
    return true;
  }

  /** Whether nobody has access. */
  boolean idle() {
    return atomicWrite == null && !lock.isReadLocked() && !lock.isWriteLocked();
  }
}
