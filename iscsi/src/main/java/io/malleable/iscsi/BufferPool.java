package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Direct buffers that connections borrow while they have work and give back before they sleep, so
 * that idle sessions share none. Last in, first out: the next borrower finds the buffer in the
 * processor's cache. Safe for any thread.
 *
 * <p>The last buffers are kept for those who can go on without another one, so that nobody waits
 * for somebody who waits: who has a buffer to send from waits for none besides; who receives may
 * wait for one to send from; and who waits for a burst of data may wait for one to receive it with.
 */
final class BufferPool {
  /** Largest data segment that we accept; also the largest burst. */
  static final int MAX_SEGMENT_BYTES = 256 * 1024;

  /**
   * Room for the largest PDU (header, 1020 bytes of AHS, digests, padding), or for a burst and the
   * part of a block that the burst before it left over.
   */
  static final int BUFFER_BYTES = MAX_SEGMENT_BYTES + 8 * 1024;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition returned = lock.newCondition();
  private final ArrayDeque<ByteBuffer> idle = new ArrayDeque<>();
  private final int maxBuffers;
  private final long waitLimitMillis;
  private int allocated;
  private int waiting;

  BufferPool(long maxBytes, long waitLimitMillis) {
    this.maxBuffers = Math.toIntExact(Math.max(4, maxBytes / BUFFER_BYTES));
    this.waitLimitMillis = waitLimitMillis;
  }

  /** What a buffer is for. */
  enum Use {
    /** To build PDUs in. */
    SEND,
    /** For PDUs that arrive. */
    RECEIVE,
    /** For a burst of data that is still to come. */
    BURST
  }

  /**
   * A buffer of {@link #BUFFER_BYTES}, content undefined. Waits while there is none for this use; a
   * wait beyond the limit fails the caller's connection instead of queueing it for good. Who waits
   * must have none for a use further up in the list.
   */
  ByteBuffer acquire(Use use) throws IOException {
    lock.lock();
    try {
      long remainingNanos = TimeUnit.MILLISECONDS.toNanos(waitLimitMillis);
      while (true) {
        ByteBuffer buffer = take(use);
        if (buffer != null) {
          return buffer;
        }
        if (remainingNanos <= 0) {
          throw new IOException(
              "no buffer became free in "
                  + waitLimitMillis
                  + " ms: all "
                  + maxBuffers
                  + " are in use; raise maxBufferBytes");
        }
        waiting++;
        try {
          remainingNanos = returned.awaitNanos(remainingNanos);
        } finally {
          waiting--;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while waiting for a buffer", e);
    } finally {
      lock.unlock();
    }
  }

  /** The same; null instead of waiting. */
  @Nullable ByteBuffer tryAcquire(Use use) {
    lock.lock();
    try {
      return take(use);
    } finally {
      lock.unlock();
    }
  }

  private @Nullable ByteBuffer take(Use use) {
    int kept =
        switch (use) {
          case SEND -> 0;
          case RECEIVE -> maxBuffers / 4;
          case BURST -> maxBuffers / 2;
        };
    if (idle.size() + maxBuffers - allocated <= kept) {
      return null;
    }
    ByteBuffer buffer = idle.pollFirst();
    if (buffer != null) {
      return buffer.clear();
    }
    ByteBuffer fresh = ByteBuffer.allocateDirect(BUFFER_BYTES);
    allocated++;
    return fresh;
  }

  void release(ByteBuffer buffer) {
    lock.lock();
    try {
      idle.addFirst(buffer);
      if (waiting > 0) {
        // All of them: not each of those who wait may have this one.
        returned.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Buffers lent out now. */
  int inUse() {
    lock.lock();
    try {
      return allocated - idle.size();
    } finally {
      lock.unlock();
    }
  }
}
