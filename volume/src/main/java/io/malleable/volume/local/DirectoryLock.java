package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Keeps other processes out of a store's directory; ends with the process at the latest. */
final class DirectoryLock implements Closeable {
  /**
   * What this process has. A second channel to the same file must not even be opened: closing it
   * would give up the lock of the first, as POSIX locks belong to the process and the file.
   */
  private static final Set<Path> TAKEN = ConcurrentHashMap.newKeySet();

  private final Path directory;
  private final FileChannel channel;

  private DirectoryLock(Path directory, FileChannel channel) {
    this.directory = directory;
    this.channel = channel;
  }

  /**
   * Locks the directory, which exists.
   *
   * @throws VolumeException {@code UNAVAILABLE} when another process, or this one, has it
   */
  static DirectoryLock take(Path directory) throws IOException {
    Path real = directory.toRealPath();
    if (!TAKEN.add(real)) {
      throw inUse(directory);
    }
    try {
      return new DirectoryLock(real, lock(directory));
    } catch (IOException | RuntimeException e) {
      TAKEN.remove(real);
      throw e;
    }
  }

  private static FileChannel lock(Path directory) throws IOException {
    FileChannel channel =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      if (channel.tryLock() == null) {
        throw inUse(directory);
      }
      return channel;
    } catch (OverlappingFileLockException e) {
      // This process has it by a path that does not look the same, as of a bind mount.
      channel.close();
      throw inUse(directory);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static VolumeException inUse(Path directory) {
    return new VolumeException(
        Reason.UNAVAILABLE,
        "the volume store in %s is in use by a running server; stop it or choose another directory"
            .formatted(directory));
  }

  @Override
  public void close() throws IOException {
    if (!channel.isOpen()) {
      return;
    }
    try {
      channel.close();
    } finally {
      TAKEN.remove(directory);
    }
  }
}
