package io.malleable.image;

import java.nio.ByteBuffer;
import java.time.Duration;

/** A drive of a few bytes, for what is to be found out about any bytes. */
final class DriveInMemory implements DriveContent {
  private final byte[] bytes;

  DriveInMemory(byte[] bytes) {
    this.bytes = bytes;
  }

  /** Its clock stands still: inputs this small end by themselves. */
  static Budget budget() {
    return new Budget(Duration.ofSeconds(1), 1 << 20, () -> 0);
  }

  @Override
  public long sizeBytes() {
    return bytes.length;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) {
    destination.put(bytes, (int) offsetBytes, destination.remaining());
  }
}
