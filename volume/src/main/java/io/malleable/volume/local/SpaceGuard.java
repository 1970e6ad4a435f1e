package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.function.LongSupplier;

/**
 * Refuses growth before the file system below is full, so that what was promised to be durable
 * (maps, records, the database beside us) can still be written. Called from all I/O threads; asks
 * the file system at most once a second or per {@link #SAMPLE_BYTES} granted.
 */
final class SpaceGuard {
  private static final long SAMPLE_BYTES = 64L << 20;
  private static final long SAMPLE_NANOS = 1_000_000_000L;

  private final StoreFiles files;
  private final long reserveBytes;
  private final LongSupplier nanoTime;
  private long grantedBytes;
  private long sampledAtNanos;

  SpaceGuard(StoreFiles files, long reserveBytes, LongSupplier nanoTime) {
    this.files = files;
    this.reserveBytes = reserveBytes;
    this.nanoTime = nanoTime;
  }

  long reserveBytes() {
    return reserveBytes;
  }

  /**
   * Refuses long work that nobody's machine waits for, rather than let it take the last of what
   * machines may want to write: it leaves as much as the reserve beyond the reserve.
   *
   * @param what begins the message
   * @param bytes what it takes from now on
   */
  void requireBeside(String what, long bytes) throws IOException {
    long usable = files.availableBytes() - 2 * reserveBytes;
    if (usable < bytes) {
      throw new VolumeException(
          Reason.OUT_OF_SPACE,
          "%s takes %d bytes, %d are left for it beside what machines may write; delete volumes or add storage"
              .formatted(what, bytes, Math.max(0, usable)));
    }
  }

  /** Space that a writer is about to take. */
  synchronized void claim(long bytes) throws IOException {
    long now = nanoTime.getAsLong();
    if (bytes > grantedBytes || now - sampledAtNanos > SAMPLE_NANOS) {
      long usable = files.availableBytes() - reserveBytes;
      if (usable < bytes) {
        grantedBytes = 0;
        throw new VolumeException(
            Reason.OUT_OF_SPACE,
            "the store is full: %d bytes left beyond the reserve of %d, %d needed; delete volumes or add storage"
                .formatted(Math.max(0, usable), reserveBytes, bytes));
      }
      grantedBytes = Math.max(bytes, Math.min(usable, SAMPLE_BYTES));
      sampledAtNanos = now;
    }
    grantedBytes -= bytes;
  }
}
