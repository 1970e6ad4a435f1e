package io.malleable.http;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntSupplier;

/**
 * Bounds what is kept of a chunk whose end has not come: the protocol keeps a chunk of a body (RFC
 * 9112 7.1) until it is whole, and a client may announce two gigabytes.
 */
final class HeldBytes {
  /** Of one client, above what is not counted. */
  static final int ONE = 8 << 20;

  /** Of all clients of a listener. */
  static final int ALL = 32 << 20;

  /** A connection looks at what it holds when it has received this much more. */
  static final int UNCOUNTED = 16 << 10;

  /** A part of one byte costs objects as well. */
  static final int OVERHEAD = 128;

  private final AtomicLong all = new AtomicLong();

  /** The count of one connection. Owned by its thread. */
  final class OfOne {
    private long received;
    private long used;
    private int sinceLook;
    private long held;

    /**
     * Something is about to be kept; true when that is too much.
     *
     * @param bytes of it
     * @param keptBefore bytes, asked for now and then only
     */
    boolean exceededBy(int bytes, IntSupplier keptBefore) {
      long before = received;
      received += bytes;
      sinceLook += bytes + OVERHEAD;
      if (sinceLook < UNCOUNTED) {
        return false;
      }
      int kept = keptBefore.getAsInt();
      // Where nothing was used since the last look, all the objects of it are there still.
      long now = before - kept == used ? held + sinceLook : kept + bytes;
      used = before - kept;
      sinceLook = 0;
      long sum = all.addAndGet(now - held);
      held = now;
      return held > ONE || (held > 2 * UNCOUNTED && sum > ALL);
    }

    void end() {
      all.addAndGet(-held);
      held = 0;
    }
  }

  OfOne ofOne() {
    return new OfOne();
  }
}
