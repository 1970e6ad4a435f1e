package io.malleable.volume.local;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One open file of a store. May be used from many threads at once; positions are bytes. */
interface StoreFile extends Closeable {
  /** Fills the buffer to its limit; the end of the file before that is an EOFException. */
  void read(long positionBytes, ByteBuffer destination) throws IOException;

  /** Drains the buffer. */
  void write(long positionBytes, ByteBuffer source) throws IOException;

  /** Everything written before the call is durable when this returns, the size included. */
  void sync() throws IOException;

  long sizeBytes() throws IOException;

  /** The range reads as zeroes and occupies nothing; the size of the file stays. */
  void punchHole(long positionBytes, long lengthBytes) throws IOException;

  /** What the file occupies on the storage below. */
  long allocatedBytes() throws IOException;

  /** Closes each that there is, also when another one cannot be closed. */
  static void closeAll(List<? extends @Nullable Closeable> files) throws IOException {
    IOException failure = null;
    for (Closeable file : files) {
      try {
        if (file != null) {
          file.close();
        }
      } catch (IOException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
