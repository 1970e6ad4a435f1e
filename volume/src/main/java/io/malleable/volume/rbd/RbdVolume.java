package io.malleable.volume.rbd;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** An open image as a volume. Any number of threads may use it; each waits for its own requests. */
final class RbdVolume implements Volume {
  /** How far {@link #extentAt} looks ahead. */
  private static final long EXTENT_WINDOW_BYTES = 1L << 30;

  private static final int CONCURRENCY = 32;

  private final UUID id;
  private final boolean sealed;
  private final RbdImage image;
  private final RbdIo io;
  private final Consumer<RbdVolume> onClose;
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile long sizeBytes;

  RbdVolume(UUID id, boolean sealed, RbdImage image, Consumer<RbdVolume> onClose)
      throws IOException {
    this.id = id;
    this.sealed = sealed;
    this.image = image;
    this.onClose = onClose;
    this.io = new RbdIo(image);
    this.sizeBytes = image.sizeBytes();
  }

  @Override
  public UUID id() {
    return id;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean sealed() {
    return sealed;
  }

  RbdImage image() {
    return image;
  }

  void resize(long newSizeBytes) throws IOException {
    image.resize(newSizeBytes);
    sizeBytes = newSizeBytes;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) throws IOException {
    check(offsetBytes, destination.remaining());
    translating(() -> io.read(offsetBytes, destination));
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) throws IOException {
    checkWritable();
    check(offsetBytes, source.remaining());
    translating(() -> io.write(offsetBytes, source));
  }

  private interface Request {
    void run() throws IOException;
  }

  private void translating(Request request) throws IOException {
    try {
      request.run();
    } catch (CephException e) {
      throw RbdVolumeStore.translated(id, e);
    }
  }

  @Override
  public void flush() throws IOException {
    checkOpen();
    if (!sealed) {
      translating(io::flush);
    }
  }

  @Override
  public void discard(long offsetBytes, long lengthBytes) throws IOException {
    writeZeroes(offsetBytes, lengthBytes);
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
    checkWritable();
    check(offsetBytes, lengthBytes);
    if (lengthBytes > 0) {
      translating(() -> io.writeZeroes(offsetBytes, lengthBytes));
    }
  }

  @Override
  public int concurrency() {
    return CONCURRENCY;
  }

  @Override
  public Extent extentAt(long offsetBytes) throws IOException {
    check(offsetBytes, 1);
    long window = Math.min(EXTENT_WINDOW_BYTES, sizeBytes - offsetBytes);
    List<RbdImage.Run> own = image.allocated(offsetBytes, window, false, RbdImage.Detail.WRITTEN);
    long ownLength = leadingRun(own, offsetBytes);
    if (ownLength > 0) {
      return new Extent(Origin.OWN, Math.min(ownLength, window));
    }
    long beforeOwn = own.isEmpty() ? window : own.getFirst().offsetBytes() - offsetBytes;
    List<RbdImage.Run> all = image.allocated(offsetBytes, beforeOwn, true, RbdImage.Detail.WRITTEN);
    long inherited = leadingRun(all, offsetBytes);
    if (inherited > 0) {
      return new Extent(Origin.INHERITED, Math.min(inherited, beforeOwn));
    }
    long absent = all.isEmpty() ? beforeOwn : all.getFirst().offsetBytes() - offsetBytes;
    return new Extent(Origin.ABSENT, absent);
  }

  private static long leadingRun(List<RbdImage.Run> runs, long offsetBytes) {
    long end = offsetBytes;
    for (RbdImage.Run run : runs) {
      if (run.offsetBytes() > end) {
        break;
      }
      end = Math.max(end, run.offsetBytes() + run.lengthBytes());
    }
    return end - offsetBytes;
  }

  private void check(long offsetBytes, long lengthBytes) throws IOException {
    checkOpen();
    Objects.checkFromIndexSize(offsetBytes, lengthBytes, sizeBytes);
  }

  private void checkWritable() throws IOException {
    if (sealed) {
      throw new VolumeException(Reason.SEALED, "volume " + id + " is sealed and cannot be changed");
    }
  }

  private void checkOpen() throws IOException {
    if (closed.get()) {
      throw new IOException("volume " + id + " is closed");
    }
  }

  /** The caller has no request under way. */
  @Override
  public void close() throws IOException {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    try (image) {
      try (io) {
        if (!sealed) {
          io.flush();
        }
      }
    } finally {
      onClose.accept(this);
    }
  }
}
