package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Keeps other processes out of a store's directory; ends with the process at the latest. */
final class DirectoryLock implements Closeable {
  private final FileChannel channel;

  private DirectoryLock(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Locks the directory, which exists.
   *
   * @throws VolumeException {@code UNAVAILABLE} when another process, or this one, has it
   */
  static DirectoryLock take(Path directory) throws IOException {
    FileChannel channel =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      FileLock taken = channel.tryLock();
      if (taken != null) {
        return new DirectoryLock(channel);
      }
    } catch (OverlappingFileLockException e) {
      // This very process has it; the message below says what to do about either.
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    channel.close();
    throw new VolumeException(
        Reason.UNAVAILABLE,
        "the volume store in %s is in use by a running server; stop it or choose another directory"
            .formatted(directory));
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
