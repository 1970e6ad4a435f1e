package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Direct buffers that connections borrow while they have work and give back before they wait for
 * their peer, so that idle sessions share none. Last in, first out: the next borrower finds the
 * buffer in the processor's cache. Safe for any thread.
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

  BufferPool(long maxBytes, long waitLimitMillis) {
    this.maxBuffers = Math.toIntExact(Math.max(4, maxBytes / BUFFER_BYTES));
    this.waitLimitMillis = waitLimitMillis;
  }

  /**
   * A buffer of {@link #BUFFER_BYTES}, content undefined. Waits while all are in use; a wait beyond
   * the limit fails the caller's connection instead of queueing it for good.
   */
  ByteBuffer acquire() throws IOException {
    lock.lock();
    try {
      long remainingNanos = TimeUnit.MILLISECONDS.toNanos(waitLimitMillis);
      while (true) {
        ByteBuffer buffer = idle.pollFirst();
        if (buffer != null) {
          buffer.clear();
          return buffer;
        }
        if (allocated < maxBuffers) {
          ByteBuffer fresh = ByteBuffer.allocateDirect(BUFFER_BYTES);
          allocated++;
          return fresh;
        }
        if (remainingNanos <= 0) {
          throw new IOException(
              "no buffer became free in "
                  + waitLimitMillis
                  + " ms: all "
                  + maxBuffers
                  + " are in use; raise maxBufferBytes");
        }
        remainingNanos = returned.awaitNanos(remainingNanos);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while waiting for a buffer", e);
    } finally {
      lock.unlock();
    }
  }

  void release(ByteBuffer buffer) {
    lock.lock();
    try {
      idle.addFirst(buffer);
      returned.signal();
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
