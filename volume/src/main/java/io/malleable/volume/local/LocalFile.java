package io.malleable.volume.local;

import io.malleable.volume.posix.Posix;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A file of the local file system. It is opened at the first use, and again after the {@link
 * DescriptorPool} needed its descriptor for another.
 *
 * <p>Interrupting a thread inside a {@code FileChannel} closes the channel for everybody: one
 * cancelled task would take a golden image away from every machine that runs on it. So an
 * interrupted call opens the file anew, finishes, and sets the thread's interrupt flag again.
 */
final class LocalFile implements StoreFile {
  private static final Set<OpenOption> READ_WRITE =
      Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE);
  private static final Set<OpenOption> CREATE =
      Set.of(
          StandardOpenOption.CREATE,
          StandardOpenOption.TRUNCATE_EXISTING,
          StandardOpenOption.READ,
          StandardOpenOption.WRITE);

  private final DescriptorPool pool;

  /** Normalized, as the pool compares them. */
  private final Path path;

  private volatile @Nullable PooledChannel open;

  /** Set before the first write, so that whoever loses a channel knows that there were some. */
  private volatile boolean written;

  // All guarded by this.
  private Posix.@Nullable Identity identity;
  private boolean kept;
  private boolean closed;

  /** What was written through a channel that an interrupt closed may not be synced. */
  private boolean lost;

  LocalFile(Path path, DescriptorPool pool) {
    this.path = path.toAbsolutePath().normalize();
    this.pool = pool;
  }

  /** Creates the file, empty. */
  static LocalFile create(Path path, DescriptorPool pool) throws IOException {
    LocalFile file = new LocalFile(path, pool);
    file.open(CREATE).release();
    return file;
  }

  @Override
  public void read(long positionBytes, ByteBuffer destination) throws IOException {
    int start = destination.position();
    boolean interrupted = false;
    try {
      while (destination.hasRemaining()) {
        PooledChannel held = hold();
        try {
          if (held.channel().read(destination, positionBytes + destination.position() - start)
              < 0) {
            throw new EOFException(
                "%s ends before %d".formatted(path, positionBytes + destination.limit() - start));
          }
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
          drop(held);
        } catch (ClosedChannelException e) {
          drop(held);
        } finally {
          held.release();
        }
      }
    } finally {
      restore(interrupted);
    }
  }

  @Override
  public void write(long positionBytes, ByteBuffer source) throws IOException {
    int start = source.position();
    boolean interrupted = false;
    noteWrite();
    try {
      while (source.hasRemaining()) {
        PooledChannel held = hold();
        try {
          held.channel().write(source, positionBytes + source.position() - start);
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
          drop(held);
        } catch (ClosedChannelException e) {
          drop(held);
        } finally {
          held.releaseWritten();
        }
      }
    } finally {
      restore(interrupted);
    }
  }

  @Override
  public void sync() throws IOException {
    boolean interrupted = false;
    try {
      while (true) {
        PooledChannel held = hold();
        try {
          long mark = held.syncMark();
          held.channel().force(false);
          held.onSynced(mark);
          return;
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
          drop(held);
        } catch (ClosedChannelException e) {
          drop(held);
        } finally {
          held.release();
        }
      }
    } finally {
      restore(interrupted);
    }
  }

  @Override
  public long sizeBytes() throws IOException {
    return java.nio.file.Files.size(path);
  }

  @Override
  public void punchHole(long positionBytes, long lengthBytes) throws IOException {
    noteWrite();
    // The kernel tells this one if it cannot write what the call changes.
    PooledChannel held = hold();
    try (Posix.Descriptor own = pool.withDescriptor(() -> Posix.Descriptor.forWriting(path))) {
      requireOwn(own);
      own.punchHole(positionBytes, lengthBytes);
    } finally {
      held.releaseWritten();
    }
  }

  @Override
  public long allocatedBytes() throws IOException {
    return Posix.allocatedBytes(path);
  }

  @Override
  public synchronized void close() throws IOException {
    if (closed) {
      return;
    }
    closed = true;
    PooledChannel last = open;
    open = null;
    if (identity != null) {
      pool.onClosed(this, path);
    }
    if (last != null) {
      pool.forget(last);
      last.channel().close();
    }
  }

  /** The name will be gone or another file's: from now on the descriptor stays until the close. */
  synchronized void keep() throws IOException {
    if (!kept && !closed) {
      // Never released.
      hold();
      kept = true;
    }
  }

  private void noteWrite() {
    if (!written) {
      written = true;
    }
  }

  /** A channel that stays open until it is released. */
  private PooledChannel hold() throws IOException {
    PooledChannel current = open;
    return current != null && current.hold() ? current : holdAnew();
  }

  private synchronized PooledChannel holdAnew() throws IOException {
    if (closed) {
      throw new ClosedChannelException();
    }
    PooledChannel current = open;
    return current != null && current.hold() ? current : open(READ_WRITE);
  }

  /** Opens the file and holds it. */
  private synchronized PooledChannel open(Set<OpenOption> how) throws IOException {
    PooledChannel fresh = pool.channel(() -> openChannel(how));
    lost = false;
    open = fresh;
    return fresh;
  }

  private PooledChannel openChannel(Set<OpenOption> how) throws IOException {
    FileChannel channel = FileChannel.open(path, how);
    try {
      Posix.Identity found = Posix.identity(path);
      if (identity == null) {
        identity = found;
        pool.onNamed(this, path);
      }
      requireSame(found);
      return PooledChannel.held(channel, pool.openings(), lost);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private synchronized void requireOwn(Posix.Descriptor descriptor) throws IOException {
    requireSame(descriptor.identity());
  }

  /** Whoever replaces a file by hand while it is in use must not have it read as the old one. */
  private void requireSame(Posix.Identity found) throws IOException {
    if (!found.equals(identity)) {
      throw new IOException(
          path + " is not the file that was opened under this name; restart the server to use it");
    }
  }

  /** Somebody's interrupt closed the channel; the first to notice drops it. */
  private synchronized void drop(PooledChannel channel) throws IOException {
    if (closed) {
      throw new ClosedChannelException();
    }
    if (open == channel && !channel.channel().isOpen()) {
      open = null;
      lost = written;
      pool.forget(channel);
    }
  }

  private static void restore(boolean interrupted) {
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
