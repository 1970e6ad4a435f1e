package io.malleable.volume.rbd;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.rbd.RbdImages.Facts;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
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
  private final BoundedCalls calls;
  private final Consumer<RbdVolume> onClose;
  private final Gate gate = new Gate();
  private final Object closing = new Object();
  private volatile boolean closeAsked;
  private boolean closed;
  private volatile long sizeBytes;
  private volatile Lineage lineage;

  RbdVolume(UUID id, Facts facts, RbdImage image, BoundedCalls calls, Consumer<RbdVolume> onClose)
      throws IOException {
    this.id = id;
    this.sealed = facts.sealed();
    this.lineage = facts.lineage();
    this.image = image;
    this.calls = calls;
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

  Facts facts() {
    return new Facts(sizeBytes, sealed, lineage);
  }

  /** What its image says from now on. */
  void onLineage(Lineage changed) {
    lineage = changed;
  }

  void onResized(long changedSizeBytes) {
    sizeBytes = changedSizeBytes;
  }

  /** Whether somebody closes it, so that what uses the handle for long should end. */
  boolean closeAsked() {
    return closeAsked;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) throws IOException {
    check(offsetBytes, destination.remaining());
    use(_ -> io.read(offsetBytes, destination));
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) throws IOException {
    checkWritable();
    check(offsetBytes, source.remaining());
    use(_ -> io.write(offsetBytes, source));
  }

  /** A call on the open handle. */
  interface Use {
    void run(RbdImage image) throws IOException;
  }

  /**
   * Runs the call while the handle cannot go away.
   *
   * @throws VolumeException {@code IN_USE} when the volume is closed, or is just being closed
   */
  void use(Use call) throws IOException {
    if (!gate.enter()) {
      throw new VolumeException(Reason.IN_USE, "volume " + id + " is closed");
    }
    try {
      call.run(image);
    } catch (CephException e) {
      throw RbdErrors.translated(image.cluster().config(), id, e);
    } finally {
      gate.leave();
    }
  }

  @Override
  public void flush() throws IOException {
    use(_ -> {
      if (!sealed) {
        io.flush();
      }
    });
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
      use(_ -> io.writeZeroes(offsetBytes, lengthBytes));
    }
  }

  @Override
  public int concurrency() {
    return CONCURRENCY;
  }

  @Override
  public Extent extentAt(long offsetBytes) throws IOException {
    check(offsetBytes, 1);
    Extent[] extent = new Extent[1];
    use(open -> extent[0] = extent(open, offsetBytes));
    return extent[0];
  }

  private Extent extent(RbdImage open, long offsetBytes) throws IOException {
    long window = Math.min(EXTENT_WINDOW_BYTES, sizeBytes - offsetBytes);
    List<RbdImage.Run> own = open.allocated(offsetBytes, window, false, RbdImage.Detail.WRITTEN);
    long ownLength = leadingRun(own, offsetBytes);
    if (ownLength > 0) {
      return new Extent(Origin.OWN, Math.min(ownLength, window));
    }
    long beforeOwn = own.isEmpty() ? window : own.getFirst().offsetBytes() - offsetBytes;
    List<RbdImage.Run> all = open.allocated(offsetBytes, beforeOwn, true, RbdImage.Detail.WRITTEN);
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

  private void check(long offsetBytes, long lengthBytes) {
    Objects.checkFromIndexSize(offsetBytes, lengthBytes, sizeBytes);
  }

  private void checkWritable() throws IOException {
    if (sealed) {
      throw new VolumeException(Reason.SEALED, "volume " + id + " is sealed and cannot be changed");
    }
  }

  /**
   * Lets requests that are under way end, up to the limit that each has. If they do not, or if the
   * cluster does not answer, the handle stays with the process, and its lock with it.
   */
  @Override
  public void close() throws IOException {
    closeAsked = true;
    boolean idle = gate.shut(image.cluster().config().callLimit().toNanos());
    synchronized (closing) {
      if (closed) {
        return;
      }
      if (!idle) {
        throw new VolumeException(
            Reason.UNAVAILABLE,
            "volume " + id + " cannot be closed: its I/O does not end; see 'ceph -s'");
      }
      closed = true;
      calls.call(
          "closing volume " + id,
          () -> {},
          () -> {
            release();
            return true;
          },
          _ -> {});
    }
  }

  private void release() throws IOException {
    try (image) {
      try (io) {
        if (!sealed) {
          io.flush();
        }
      }
    } catch (CephException e) {
      throw RbdErrors.translated(image.cluster().config(), id, e);
    } finally {
      onClose.accept(this);
    }
  }
}
