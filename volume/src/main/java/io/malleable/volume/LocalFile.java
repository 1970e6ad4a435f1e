package io.malleable.volume;

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
 * A file of the local file system. It is opened at the first use.
 *
 * <p>Interrupting a thread inside a {@code FileChannel} closes the channel for everybody: one
 * cancelled task would take a golden image away from every machine that runs on it. So an
 * interrupted call opens the file anew, finishes, and sets the thread's interrupt flag again.
 */
final class LocalFile implements StoreFile {
  private static final Set<OpenOption> READ_WRITE =
      Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE);

  private final Path path;
  private volatile @Nullable FileChannel channel;
  // Guarded by this.
  private Posix.@Nullable Descriptor descriptor;
  private boolean closed;

  LocalFile(Path path) {
    this.path = path;
  }

  /** Creates the file, empty. */
  static LocalFile create(Path path) throws IOException {
    LocalFile file = new LocalFile(path);
    file.channel =
        FileChannel.open(
            path,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    return file;
  }

  @Override
  public void read(long positionBytes, ByteBuffer destination) throws IOException {
    int start = destination.position();
    boolean interrupted = false;
    try {
      while (destination.hasRemaining()) {
        FileChannel open = channel();
        try {
          if (open.read(destination, positionBytes + destination.position() - start) < 0) {
            throw new EOFException(
                "%s ends before %d".formatted(path, positionBytes + destination.limit() - start));
          }
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
          reopen();
        } catch (ClosedChannelException e) {
          reopen();
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
    try {
      while (source.hasRemaining()) {
        FileChannel open = channel();
        try {
          open.write(source, positionBytes + source.position() - start);
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
          reopen();
        } catch (ClosedChannelException e) {
          reopen();
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
        FileChannel open = channel();
        try {
          open.force(false);
          return;
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
          reopen();
        } catch (ClosedChannelException e) {
          reopen();
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
  public synchronized void punchHole(long positionBytes, long lengthBytes) throws IOException {
    if (closed) {
      throw new ClosedChannelException();
    }
    Posix.Descriptor open = descriptor;
    if (open == null) {
      open = Posix.Descriptor.forWriting(path);
      descriptor = open;
    }
    open.punchHole(positionBytes, lengthBytes);
  }

  @Override
  public long allocatedBytes() throws IOException {
    return Posix.allocatedBytes(path);
  }

  @Override
  public synchronized void close() throws IOException {
    closed = true;
    FileChannel open = channel;
    Posix.Descriptor punching = descriptor;
    channel = null;
    descriptor = null;
    try {
      if (punching != null) {
        punching.close();
      }
    } finally {
      if (open != null) {
        open.close();
      }
    }
  }

  private FileChannel channel() throws IOException {
    FileChannel open = channel;
    return open != null ? open : openNow();
  }

  private synchronized FileChannel openNow() throws IOException {
    if (closed) {
      throw new ClosedChannelException();
    }
    FileChannel open = channel;
    if (open == null) {
      open = FileChannel.open(path, READ_WRITE);
      channel = open;
    }
    return open;
  }

  /** Somebody's interrupt closed the channel; the first to notice drops it. */
  private synchronized void reopen() throws IOException {
    if (closed) {
      throw new ClosedChannelException();
    }
    FileChannel open = channel;
    if (open != null && !open.isOpen()) {
      channel = null;
    }
  }

  private static void restore(boolean interrupted) {
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
