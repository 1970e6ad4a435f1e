package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;

/** A unit whose medium cannot be read from some offset on. */
record FailsBeyond(MemoryUnit unit, long firstBadByte) implements LogicalUnit {
  @Override
  public LogicalUnitIdentity identity() {
    return unit.identity();
  }

  @Override
  public int blockSizeBytes() {
    return unit.blockSizeBytes();
  }

  @Override
  public long sizeBytes() {
    return unit.sizeBytes();
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public int concurrency() {
    return unit.concurrency();
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) throws IOException {
    if (offsetBytes + destination.remaining() > firstBadByte) {
      throw new IOException("Input/output error at " + firstBadByte);
    }
    unit.read(offsetBytes, destination);
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) {
    unit.write(offsetBytes, source);
  }

  @Override
  public void flush() {}

  @Override
  public void unmap(long offsetBytes, long lengthBytes) {
    unit.unmap(offsetBytes, lengthBytes);
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) {
    unit.writeZeroes(offsetBytes, lengthBytes);
  }

  @Override
  public Extent extentAt(long offsetBytes) {
    return unit.extentAt(offsetBytes);
  }
}
