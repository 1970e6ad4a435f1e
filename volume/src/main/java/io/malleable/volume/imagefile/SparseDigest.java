package io.malleable.volume.imagefile;

import io.malleable.volume.posix.Posix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The checksum of a file that may have holes, which are not read. */
final class SparseDigest {
  private static final byte[] NOUGHT = new byte[ImageImporter.CHUNK_BYTES];

  private SparseDigest() {}

  /** Hears how far it is, 0 to 1; throws to end it. */
  interface Progress {
    void reach(double fraction) throws IOException;
  }

  /** Over holes as over zeroes, which they read as. */
  static String sha256(Path file, Progress progress) throws IOException {
    long size = Files.size(file);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        Posix.Descriptor holes = Posix.Descriptor.forReading(file)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      ByteBuffer chunk = ByteBuffer.allocate(ImageImporter.CHUNK_BYTES);
      long data = holes.nextData(0);
      long position = 0;
      while (position < size) {
        if (position == data) {
          long end = holes.nextHole(position);
          while (position < Math.min(end, size)) {
            chunk
                .clear()
                .limit((int) Math.min(ImageImporter.CHUNK_BYTES, Math.min(end, size) - position));
            ImageImporter.fill(channel, position, chunk, file);
            position += chunk.limit();
            digest.update(chunk);
            progress.reach((double) position / size);
          }
          data = holes.nextData(position);
        } else {
          long end = data < 0 ? size : Math.min(data, size);
          int length = (int) Math.min(ImageImporter.CHUNK_BYTES, end - position);
          digest.update(NOUGHT, 0, length);
          position += length;
          progress.reach((double) position / size);
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
