package io.malleable.iscsi;

import java.nio.ByteBuffer;
import java.util.UUID;

/** Moves no data: what is left is the cost of the target itself. */
record NullUnit(long sizeBytes) implements LogicalUnit {
  private static final LogicalUnitIdentity IDENTITY =
      new LogicalUnitIdentity(new UUID(0, 0), "M2", "NULL", "1");

  @Override
  public LogicalUnitIdentity identity() {
    return IDENTITY;
  }

  @Override
  public int blockSizeBytes() {
    return 512;
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
