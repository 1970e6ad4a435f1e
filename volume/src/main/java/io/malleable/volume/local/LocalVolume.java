package io.malleable.volume.local;

import io.malleable.volume.Volume;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

/** A handle on a volume of the local store. */
final class LocalVolume implements Volume, Closeable {
  private final ActiveVolume active;
  private final Closing closing;
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile boolean written;

  /** What is done once when a handle is closed. */
  interface Closing {
    void close(LocalVolume handle, ActiveVolume active) throws IOException;
  }

  LocalVolume(ActiveVolume active, Closing closing) {
    this.active = active;
    this.closing = closing;
  }

  private ActiveVolume active() throws ClosedChannelException {
    if (closed.get()) {
      throw new ClosedChannelException();
    }
    return active;
  }

  private ActiveVolume writing() throws ClosedChannelException {
    ActiveVolume volume = active();
    if (!written) {
      written = true;
    }
    return volume;
  }

  /** Whether anything was to be changed through this handle. */
  boolean hasWritten() {
    return written;
  }

  @Override
  public UUID id() {
    return active.id();
  }

  @Override
  public long sizeBytes() {
    return active.sizeBytes();
  }

  @Override
  public boolean sealed() {
    return active.sealed();
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) throws IOException {
    active().read(offsetBytes, destination);
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) throws IOException {
    writing().write(offsetBytes, source);
  }

  @Override
  public int atomicWriteBytes() {
    return WriteIntent.MAX_BYTES;
  }

  @Override
  public void writeAtomically(long offsetBytes, ByteBuffer source) throws IOException {
    writing().writeAtomically(offsetBytes, source);
  }

  @Override
  public void flush() throws IOException {
    active().flush();
  }

  @Override
  public void discard(long offsetBytes, long lengthBytes) throws IOException {
    writing().zero(offsetBytes, lengthBytes);
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
    writing().zero(offsetBytes, lengthBytes);
  }

  @Override
  public Extent extentAt(long offsetBytes) throws IOException {
    return active().extentAt(offsetBytes);
  }

  @Override
  public void close() throws IOException {
    if (closed.compareAndSet(false, true)) {
      closing.close(this, active);
    }
  }
}
