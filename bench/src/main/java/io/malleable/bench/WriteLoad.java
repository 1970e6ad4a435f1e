package io.malleable.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A guest that writes 4 KiB at random places, one write after the other and none of them flushed,
 * until it is closed. Another thread measures meanwhile.
 */
final class WriteLoad implements AutoCloseable {
  static final int WRITE_BYTES = 4096;

  /** As fast as the writes return. */
  static final int FLAT_OUT = 0;

  private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(60);

  /** Who is behind by more does not catch up: a guest that was stalled has lost the time. */
  private static final long MAX_DEBT_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

  /** Where the writes go. */
  interface Target {
    void write(long offsetBytes, ByteBuffer data) throws IOException;
  }

  private final Target target;
  private final long rangeBytes;
  private final long intervalNanos;
  private final Thread thread;
  private volatile boolean stopping;
  private volatile @Nullable IOException failure;

  private final AtomicLong count = new AtomicLong();
  private final AtomicLong longestNanos = new AtomicLong();

  private WriteLoad(Target target, long rangeBytes, int perSecond) {
    this.target = target;
    this.rangeBytes = rangeBytes;
    this.intervalNanos = perSecond == FLAT_OUT ? 0 : TimeUnit.SECONDS.toNanos(1) / perSecond;
    this.thread = new Thread(this::writeOn, "write-load");
  }

  /**
   * Begins to write.
   *
   * @param rangeBytes what the writes are spread over, from the beginning
   * @param perSecond at most so many, or {@link #FLAT_OUT}
   */
  static WriteLoad start(Target target, long rangeBytes, int perSecond) {
    WriteLoad load = new WriteLoad(target, rangeBytes, perSecond);
    load.thread.start();
    return load;
  }

  private void writeOn() {
    SplittableRandom random = new SplittableRandom(4);
    ByteBuffer data = ByteBuffer.allocateDirect(WRITE_BYTES);
    long blocks = rangeBytes / WRITE_BYTES;
    long due = System.nanoTime();
    try {
      while (!stopping) {
        data.putLong(0, random.nextLong());
        long started = System.nanoTime();
        target.write(random.nextLong(blocks) * WRITE_BYTES, data.clear());
        long ended = System.nanoTime();
        longestNanos.accumulateAndGet(ended - started, Math::max);
        count.incrementAndGet();
        due = Math.max(due + intervalNanos, ended - MAX_DEBT_NANOS);
        if (due > ended && intervalNanos > 0) {
          LockSupport.parkNanos(due - ended);
        }
      }
    } catch (IOException e) {
      failure = e;
    }
  }

  /** Writes so far. */
  long count() {
    return count.get();
  }

  /** Forgets how long writes took until now. */
  void forgetLongest() {
    longestNanos.set(0);
  }

  /** Of the writes since {@link #forgetLongest}, also of the one that is under way. */
  double longestMillis() throws IOException, InterruptedException {
    long seen = count.get();
    long deadline = System.nanoTime() + LIMIT_NANOS;
    while (count.get() == seen) {
      check();
      if (System.nanoTime() > deadline) {
        throw new IOException("a write has not returned within 60 s");
      }
      TimeUnit.MICROSECONDS.sleep(100);
    }
    return longestNanos.get() / 1e6;
  }

  private void check() throws IOException {
    IOException failed = failure;
    if (failed != null) {
      throw new IOException("the writes failed", failed);
    }
  }

  /** Waits for the last write; what failed meanwhile is thrown here. */
  @Override
  public void close() throws IOException {
    stopping = true;
    LockSupport.unpark(thread);
    try {
      if (!thread.join(Duration.ofNanos(LIMIT_NANOS))) {
        throw new IOException("a write has not returned within 60 s");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the last write ends", e);
    }
    check();
  }
}
