package io.malleable.volume.posix;

import java.io.IOException;
import java.nio.file.Path;

/**
 * What the file system of a path has. {@link java.nio.file.FileStore} fails below a root that is no
 * mount point, as in chroot, and takes a descriptor; what is asked here by path says 0 for anything
 * that goes wrong.
 */
public final class DiskSpace {
  private DiskSpace() {}

  /** What this process can still write. */
  public static long usableBytes(Path path) throws IOException {
    long bytes = path.toFile().getUsableSpace();
    if (bytes == 0) {
      // Full, or it could not be asked, which the size tells apart.
      totalBytes(path);
    }
    return bytes;
  }

  /** What it could hold in all. */
  public static long totalBytes(Path path) throws IOException {
    long bytes = path.toFile().getTotalSpace();
    if (bytes == 0) {
      throw new IOException("cannot tell the size of the file system that holds " + path);
    }
    return bytes;
  }
}
