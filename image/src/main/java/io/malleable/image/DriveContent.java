package io.malleable.image;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** The bytes of a drive, wherever they are kept. */
public interface DriveContent {
  long sizeBytes();

  /**
   * Fills the buffer up to its limit. Offset and length are multiples of 512, except that the last
   * read may end where the drive does.
   */
  void read(long offsetBytes, ByteBuffer destination) throws IOException;

  /** The content of a raw image file; the caller closes the channel. */
  static DriveContent of(FileChannel channel) throws IOException {
    long sizeBytes = channel.size();
    return new DriveContent() {
      @Override
      public long sizeBytes() {
        return sizeBytes;
      }

      @Override
      public void read(long offsetBytes, ByteBuffer destination) throws IOException {
        long at = offsetBytes;
        while (destination.hasRemaining()) {
          int count = channel.read(destination, at);
          if (count < 0) {
            throw new EOFException("the file ends at " + at + ": it became shorter meanwhile");
          }
          at += count;
        }
      }
    };
  }
}
