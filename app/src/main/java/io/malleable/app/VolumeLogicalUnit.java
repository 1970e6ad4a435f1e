package io.malleable.app;

import io.malleable.control.WriteCache;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.LogicalUnitIdentity;
import io.malleable.iscsi.OutOfSpaceException;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;

/** A volume as the target sees it, with counters of what went through. Safe for all threads. */
public final class VolumeLogicalUnit implements LogicalUnit {
  /** Every firmware boots from these; some boot from nothing else. */
  private static final int BLOCK_BYTES = 512;

  private final Volume volume;
  private final WriteCache writeCache;
  private final Consumer<VolumeException> whenRefused;
  private final LogicalUnitIdentity identity;
  private final LongAdder readBytes = new LongAdder();
  private final LongAdder writtenBytes = new LongAdder();

  /** The volume stays the caller's, who closes it after the target is withdrawn. */
  public VolumeLogicalUnit(Volume volume) {
    this(volume, WriteCache.WRITE_BACK, refused -> {});
  }

  /**
   * The volume stays the caller's, who closes it after the target is withdrawn.
   *
   * @param whenRefused is called by I/O threads for each write for which there is no room, in the
   *     store or in the memory for its map
   */
  VolumeLogicalUnit(Volume volume, WriteCache writeCache, Consumer<VolumeException> whenRefused) {
    this.volume = volume;
    this.writeCache = writeCache;
    this.whenRefused = whenRefused;
    this.identity = new LogicalUnitIdentity(volume.id(), "M2", "DISK", "1");
  }

  @Override
  public LogicalUnitIdentity identity() {
    return identity;
  }

  @Override
  public int blockSizeBytes() {
    return BLOCK_BYTES;
  }

  @Override
  public long sizeBytes() {
    return volume.sizeBytes();
  }

  @Override
  public boolean readOnly() {
    return volume.sealed();
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) throws IOException {
    int length = destination.remaining();
    volume.read(offsetBytes, destination);
    readBytes.add(length);
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) throws IOException {
    int length = source.remaining();
    try {
      volume.write(offsetBytes, source);
      writtenBytes.add(length);
    } catch (VolumeException e) {
      throw translated(e);
    }
  }

  @Override
  public boolean writeCache() {
    return writeCache == WriteCache.WRITE_BACK;
  }

  @Override
  public int atomicWriteBytes() {
    return volume.atomicWriteBytes();
  }

  @Override
  public void writeAtomically(long offsetBytes, ByteBuffer source) throws IOException {
    int length = source.remaining();
    try {
      volume.writeAtomically(offsetBytes, source);
      writtenBytes.add(length);
    } catch (VolumeException e) {
      throw translated(e);
    }
  }

  @Override
  public void flush() throws IOException {
    try {
      volume.flush();
    } catch (VolumeException e) {
      throw translated(e);
    }
  }

  @Override
  public void unmap(long offsetBytes, long lengthBytes) throws IOException {
    try {
      volume.discard(offsetBytes, lengthBytes);
    } catch (VolumeException e) {
      throw translated(e);
    }
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
    try {
      volume.writeZeroes(offsetBytes, lengthBytes);
    } catch (VolumeException e) {
      throw translated(e);
    }
  }

  @Override
  public Extent extentAt(long offsetBytes) throws IOException {
    Volume.Extent extent = volume.extentAt(offsetBytes);
    return new Extent(extent.origin() != Volume.Origin.ABSENT, extent.lengthBytes());
  }

  @Override
  public int concurrency() {
    return volume.concurrency();
  }

  /** Since this was made. */
  long readBytes() {
    return readBytes.sum();
  }

  /** Since this was made. */
  long writtenBytes() {
    return writtenBytes.sum();
  }

  /** The target tells what has no room from what is broken by the type of the exception. */
  private IOException translated(VolumeException e) {
    OutOfSpaceException.Whose whose;
    switch (e.reason()) {
      case OUT_OF_SPACE -> whose = OutOfSpaceException.Whose.STORE;
      case TOO_FRAGMENTED -> whose = OutOfSpaceException.Whose.UNIT;
      default -> {
        return e;
      }
    }
    whenRefused.accept(e);
    OutOfSpaceException full = new OutOfSpaceException(whose, String.valueOf(e.getMessage()));
    full.initCause(e);
    return full;
  }
}
