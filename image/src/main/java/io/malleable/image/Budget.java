package io.malleable.image;

import java.time.Duration;
import java.util.function.LongSupplier;

/** What one check may cost at most: time, and bytes that come out of decompressors. */
final class Budget {
  /** A large initramfs (a full kernel with all firmware) has half of that. */
  static final long MAX_INFLATED_BYTES = 2L << 30;

  private final LongSupplier nanoTime;
  private final Duration limit;
  private final long maxInflatedBytes;
  private final long beganNanos;
  private long inflatedBytes;

  Budget(Duration limit, long maxInflatedBytes, LongSupplier nanoTime) {
    this.limit = limit;
    this.maxInflatedBytes = maxInflatedBytes;
    this.nanoTime = nanoTime;
    this.beganNanos = nanoTime.getAsLong();
  }

  void checkTime() throws CheckTimeoutException {
    if (nanoTime.getAsLong() - beganNanos > limit.toNanos()) {
      throw new CheckTimeoutException(limit.toSeconds());
    }
  }

  void spendInflated(long bytes) throws CheckTimeoutException, UnreadableException {
    inflatedBytes += bytes;
    if (inflatedBytes > maxInflatedBytes) {
      throw new UnreadableException("it unpacks to more than " + (maxInflatedBytes >> 20) + " MiB");
    }
    checkTime();
  }
}
