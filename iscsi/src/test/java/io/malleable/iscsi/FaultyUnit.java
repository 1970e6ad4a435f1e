package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;

/** Passes everything on to a unit in memory, unless it is told to fail. */
final class FaultyUnit implements LogicalUnit {
  /** What goes wrong, from now on. */
  enum Fault {
    NONE,
    READ_ERROR,
    SHORT_READ,
    WRITE_ERROR,
    SHORT_WRITE,
    OUT_OF_SPACE,
    FLUSH_ERROR,
    BUG
  }

  private final MemoryUnit unit;
  private volatile Fault fault = Fault.NONE;
  private final CountDownLatch held = new CountDownLatch(1);
  private final CountDownLatch arrived = new CountDownLatch(1);
  private volatile boolean hold;

  FaultyUnit(MemoryUnit unit) {
    this.unit = unit;
  }

  void fail(Fault next) {
    fault = next;
  }

  /** The next write stays in the store until {@link #letGo}. */
  void holdWrites() {
    hold = true;
  }

  void awaitHeldWrite() throws InterruptedException {
    arrived.await();
  }

  void letGo() {
    held.countDown();
  }

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
    switch (fault) {
      case READ_ERROR -> throw new IOException("Input/output error");
      case SHORT_READ -> destination.limit(destination.limit() - 1);
      case BUG -> throw new IllegalStateException("a fault of the store");
      default -> {}
    }
    int limit = destination.limit();
    unit.read(offsetBytes, destination);
    if (fault == Fault.SHORT_READ) {
      destination.limit(limit + 1);
    }
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) throws IOException {
    switch (fault) {
      case WRITE_ERROR -> throw new IOException("Input/output error");
      case OUT_OF_SPACE -> throw new OutOfSpaceException("No space left on device");
      case SHORT_WRITE -> {
        return;
      }
      case BUG -> throw new IllegalStateException("a fault of the store");
      default -> {}
    }
    if (hold) {
      arrived.countDown();
      try {
        held.await();
      } catch (InterruptedException e) {
        throw new IOException("interrupted", e);
      }
    }
    unit.write(offsetBytes, source);
  }

  @Override
  public void flush() throws IOException {
    if (fault == Fault.FLUSH_ERROR) {
      throw new IOException("Input/output error");
    }
  }

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
