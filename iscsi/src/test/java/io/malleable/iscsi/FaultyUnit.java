package io.malleable.iscsi;

import io.malleable.iscsi.OutOfSpaceException.Scope;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

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
    /** Of the unit, not of the store. */
    UNIT_FULL,
    FLUSH_ERROR,
    FLUSH_OUT_OF_SPACE,
    BUG,
    /** Not an exception that anybody catches who expects a store to fail. */
    ERROR
  }

  /** What the store can be made to keep. */
  enum Call {
    NONE,
    WRITE,
    FLUSH,
    /** After it has written. */
    ATOMIC_WRITE,
    EXTENT
  }

  private final MemoryUnit unit;
  private volatile Fault fault = Fault.NONE;
  private final CountDownLatch released = new CountDownLatch(1);
  private final CountDownLatch arrived = new CountDownLatch(1);
  private volatile Call held = Call.NONE;
  private volatile boolean writeCache = true;
  private volatile boolean dirty;
  private final AtomicInteger flushes = new AtomicInteger();

  FaultyUnit(MemoryUnit unit) {
    this.unit = unit;
  }

  FaultyUnit withoutWriteCache() {
    writeCache = false;
    return this;
  }

  /** Whether something was changed and not flushed since. */
  boolean dirty() {
    return dirty;
  }

  /** How many flushes have begun. */
  int flushes() {
    return flushes.get();
  }

  void fail(Fault next) {
    fault = next;
  }

  /** The next write stays in the store until {@link #letGo}. */
  void holdWrites() {
    hold(Call.WRITE);
  }

  /** The same for another call. */
  void hold(Call call) {
    held = call;
  }

  void awaitHeldFlush() throws InterruptedException {
    arrived.await();
  }

  void awaitHeldWrite() throws InterruptedException {
    arrived.await();
  }

  void letGo() {
    released.countDown();
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
  public boolean writeCache() {
    return writeCache;
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
    failToChange();
    if (fault == Fault.SHORT_WRITE) {
      return;
    }
    holdIf(Call.WRITE);
    dirty = true;
    unit.write(offsetBytes, source);
  }

  private void failToChange() throws IOException {
    switch (fault) {
      case WRITE_ERROR -> throw new IOException("Input/output error");
      case UNIT_FULL -> throw new OutOfSpaceException(Scope.UNIT, "too many pieces");
      case OUT_OF_SPACE -> throw new OutOfSpaceException(Scope.STORE, "No space left on device");
      case BUG -> throw new IllegalStateException("a fault of the store");
      case ERROR -> throw new StackOverflowError("an error of the store");
      default -> {}
    }
  }

  private void holdIf(Call call) throws IOException {
    if (held == call) {
      arrived.countDown();
      try {
        released.await();
      } catch (InterruptedException e) {
        throw new IOException("interrupted", e);
      }
    }
  }

  @Override
  public int atomicWriteBytes() {
    return unit.atomicWriteBytes();
  }

  @Override
  public void writeAtomically(long offsetBytes, ByteBuffer source) throws IOException {
    write(offsetBytes, source);
    holdIf(Call.ATOMIC_WRITE);
  }

  @Override
  public void flush() throws IOException {
    flushes.incrementAndGet();
    holdIf(Call.FLUSH);
    if (fault == Fault.FLUSH_ERROR) {
      throw new IOException("Input/output error");
    }
    if (fault == Fault.FLUSH_OUT_OF_SPACE) {
      throw new OutOfSpaceException(Scope.STORE, "No space left on device");
    }
    dirty = false;
  }

  @Override
  public void unmap(long offsetBytes, long lengthBytes) throws IOException {
    failToChange();
    dirty = true;
    unit.unmap(offsetBytes, lengthBytes);
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
    failToChange();
    dirty = true;
    unit.writeZeroes(offsetBytes, lengthBytes);
  }

  @Override
  public Extent extentAt(long offsetBytes) throws IOException {
    holdIf(Call.EXTENT);
    if (fault == Fault.READ_ERROR) {
      throw new IOException("Input/output error");
    }
    return unit.extentAt(offsetBytes);
  }
}
