package io.malleable.app;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/** A disk of zeroes on storage that fails when a test says so, and its store. */
final class FaultyVolume implements Volume {
  private static final long SIZE_BYTES = 1 << 20;

  private final UUID id;
  volatile boolean open;

  /** What the next call that closes it throws. */
  volatile @Nullable Exception failsToClose;

  /** Whether a close that fails lets go of the handle all the same. */
  volatile boolean letsGo = true;

  volatile boolean failsToOpen;

  /** Reads wait for this. */
  volatile CountDownLatch readable = new CountDownLatch(0);

  /** That a read waits. */
  final CountDownLatch reading = new CountDownLatch(1);

  FaultyVolume(UUID id) {
    this.id = id;
  }

  /** Opens this volume, once at a time as stores do; anything else is a mistake of the test. */
  VolumeStore store() {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, method, _) -> {
              if (!method.getName().equals("open")) {
                throw new AssertionError(method.getName());
              }
              if (failsToOpen) {
                throw new IOException("cannot be opened today");
              }
              if (open) {
                throw new VolumeException(VolumeException.Reason.IN_USE, "open already");
              }
              open = true;
              return this;
            });
  }

  @Override
  public UUID id() {
    return id;
  }

  @Override
  public long sizeBytes() {
    return SIZE_BYTES;
  }

  @Override
  public boolean sealed() {
    return false;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) throws IOException {
    reading.countDown();
    try {
      readable.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
    while (destination.hasRemaining()) {
      destination.put((byte) 0);
    }
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) {
    source.position(source.limit());
  }

  @Override
  public void flush() {}

  @Override
  public void discard(long offsetBytes, long lengthBytes) {}

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) {}

  @Override
  public Extent extentAt(long offsetBytes) {
    return new Extent(Origin.OWN, SIZE_BYTES - offsetBytes);
  }

  @Override
  public void close() throws IOException {
    Exception failure = failsToClose;
    if (failure == null || letsGo) {
      open = false;
    }
    failsToClose = null;
    switch (failure) {
      case null -> {}
      case IOException e -> throw e;
      case RuntimeException e -> throw e;
      default -> throw new AssertionError(failure);
    }
  }
}
