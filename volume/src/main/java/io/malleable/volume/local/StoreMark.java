package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Tells a store from a copy of one. A file of the store keeps the number of its own inode, which a
 * copy cannot have and a snapshot of the file system keeps, and whether the store is open. A copy
 * of an open store was made while its files changed, each at another moment: it is refused.
 *
 * <pre>
 * mark := magic version:u32 inode:u64 open:u32 crc:u32                                   28 bytes
 * </pre>
 */
final class StoreMark {
  static final String FILE = "store";
  static final long MAGIC = 0x4d3253544f52454dL; // "M2STOREM"

  private static final Logger LOG = System.getLogger(StoreMark.class.getName());
  private static final int BYTES =
      Formats.PREFIX_BYTES + Long.BYTES + Integer.BYTES + Formats.CRC_BYTES;

  private final Path directory;
  private final Path path;

  private StoreMark(Path directory) {
    this.directory = directory;
    this.path = directory.resolve(FILE);
  }

  /**
   * The store is open, durably, when this returns.
   *
   * @throws VolumeException {@code CORRUPT} when it is a copy of a store that was open
   */
  static StoreMark open(Path directory) throws IOException {
    StoreMark mark = new StoreMark(directory);
    mark.refuseCopyOfOpen();
    boolean isNew = !Files.exists(mark.path);
    mark.write(1);
    if (isNew) {
      try (FileChannel entry = FileChannel.open(directory, StandardOpenOption.READ)) {
        entry.force(true);
      }
    }
    return mark;
  }

  /**
   * For one that is only looked at.
   *
   * @throws VolumeException as {@link #open}
   */
  static void check(Path directory) throws IOException {
    new StoreMark(directory).refuseCopyOfOpen();
  }

  private void refuseCopyOfOpen() throws IOException {
    if (!Files.exists(path)) {
      return;
    }
    ByteBuffer header;
    try (StoreFile file = new LocalFiles(directory).open(FILE)) {
      header = Formats.read(file, FILE, MAGIC, BYTES);
    } catch (VolumeException e) {
      if (e.reason() != Reason.CORRUPT) {
        throw e;
      }
      // A power cut while it was made; it says nothing about the rest.
      LOG.log(Level.WARNING, "the mark of the volume store is written anew", e);
      return;
    }
    long inode = header.getLong();
    boolean open = header.getInt() != 0;
    if (open && inode != inode()) {
      throw new VolumeException(
          Reason.CORRUPT,
          ("%s is a copy that was made while its server was running: each file is of another moment,"
                  + " and disks may be wrong. Copy the directory while the server is stopped, or take"
                  + " a snapshot of the file system. To use this copy as it is, and lose what it"
                  + " mixes up, delete the file %s")
              .formatted(directory, path));
    }
  }

  private long inode() throws IOException {
    return ((Number) Files.getAttribute(path, "unix:ino")).longValue();
  }

  private void write(int open) throws IOException {
    try (FileChannel file =
        FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = Formats.header(MAGIC, BYTES).putLong(inode()).putInt(open);
      Formats.seal(bytes);
      int written = file.write(bytes, 0);
      if (written != BYTES) {
        throw new IOException("only " + written + " bytes of " + path + " could be written");
      }
      file.force(true);
    }
  }

  /** Everything is durable, and nobody changes it until it is opened again. */
  void close() throws IOException {
    write(0);
  }
}
