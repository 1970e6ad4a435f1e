package io.malleable.iscsi;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Where the data of a session's tasks is kept until the logical unit takes it: in buffers of the
 * server's pool, or, for little, of the task's own. When the pool is empty a session still has one
 * small buffer for itself, and asks for as much as that holds: so its writes become slow and never
 * stop. Owned by the connection thread.
 */
final class DataBuffers {
  /** With its header it fits into what a connection can always receive. */
  private static final int SMALL_BURST_BYTES = 8192;

  /** What is left of a block, and a small burst. */
  private static final int SMALL_BUFFER_BYTES = 2 * SMALL_BURST_BYTES;

  private final BufferPool pool;

  /** Made when it was needed for the first time. */
  private @Nullable ByteBuffer small;

  private @Nullable Task smallLentTo;

  DataBuffers(BufferPool pool) {
    this.pool = pool;
  }

  /** Gives the task a buffer of at least so many bytes; false when there is none. */
  boolean lend(Task task, int bytes) {
    if (bytes > SMALL_BUFFER_BYTES) {
      return lendLarge(task);
    }
    task.data = ByteBuffer.allocate(bytes);
    return true;
  }

  /** Gives the task a buffer of the pool; false when there is none. */
  boolean lendLarge(Task task) {
    task.data = pool.tryAcquire(BufferPool.Use.BURST);
    task.ownsBuffer = task.data != null;
    return task.ownsBuffer;
  }

  /**
   * Gives the task a buffer for {@link #largestBurst}, with what was left of a block before it;
   * false when there is none, in which case another burst of the session has the small one.
   */
  boolean lendForBurst(Task task) {
    if (!lendLarge(task) && smallLentTo == null) {
      if (small == null) {
        small = ByteBuffer.allocateDirect(SMALL_BUFFER_BYTES);
      }
      smallLentTo = task;
      task.data = small;
    }
    ByteBuffer buffer = task.data;
    byte[] rest = task.rest;
    if (buffer != null && rest != null) {
      buffer.clear().put(0, rest);
      task.rest = null;
    }
    return buffer != null;
  }

  int largestBurst(Task task) {
    return task == smallLentTo ? SMALL_BURST_BYTES : BufferPool.MAX_SEGMENT_BYTES;
  }

  /** Whether the task's data, if it has any, is not in the small buffer. */
  boolean mayLeave(Task task) {
    return task != smallLentTo;
  }

  void release(Task task) {
    ByteBuffer buffer = task.data;
    task.data = null;
    if (buffer != null && task.ownsBuffer) {
      task.ownsBuffer = false;
      pool.release(buffer);
    } else if (task == smallLentTo) {
      smallLentTo = null;
    }
  }
}
