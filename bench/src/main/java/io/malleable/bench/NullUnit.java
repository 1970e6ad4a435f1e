package io.malleable.bench;

import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.LogicalUnitIdentity;
import java.nio.ByteBuffer;
import java.util.UUID;

/**
 * A unit without a store: what the target itself costs. Reads leave the buffer as it is, writes go
 * nowhere.
 */
final class NullUnit implements LogicalUnit {
  private final long sizeBytes;
  private final LogicalUnitIdentity identity =
      new LogicalUnitIdentity(new UUID(1, 2), "M2", "NULL", "1");

  NullUnit(long sizeBytes) {
    this.sizeBytes = sizeBytes;
  }

  @Override
  public LogicalUnitIdentity identity() {
    return identity;
  }

  @Override
  public int blockSizeBytes() {
    return 512;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) {
    destination.position(destination.limit());
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) {
    source.position(source.limit());
  }

  @Override
  public void flush() {}

  @Override
  public void unmap(long offsetBytes, long lengthBytes) {}

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) {}

  @Override
  public Extent extentAt(long offsetBytes) {
    return new Extent(true, sizeBytes - offsetBytes);
  }
}
