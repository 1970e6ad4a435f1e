package io.malleable.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/**
 * A new file in which blocks of zeroes are holes, so that an image takes no more room outside the
 * store than within. Owned by one thread.
 */
final class SparseFile extends OutputStream {
  /** Holes are never smaller: file systems keep whole blocks. */
  private static final int BLOCK_BYTES = 4096;

  private static final byte[] ZEROES = new byte[BLOCK_BYTES];

  private final FileChannel channel;
  private long position;

  SparseFile(Path file) throws IOException {
    this.channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  }

  @Override
  public void write(int value) throws IOException {
    write(new byte[] {(byte) value}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    int end = offset + length;
    int at = offset;
    int dataFrom = offset;
    while (at < end) {
      int withinBlock = (int) ((position + at - offset) % BLOCK_BYTES);
      int next = Math.min(end, at + BLOCK_BYTES - withinBlock);
      if (Arrays.equals(bytes, at, next, ZEROES, 0, next - at)) {
        put(bytes, dataFrom, at, position + dataFrom - offset);
        dataFrom = next;
      }
      at = next;
    }
    put(bytes, dataFrom, end, position + dataFrom - offset);
    position += length;
  }

  private void put(byte[] bytes, int from, int to, long at) throws IOException {
    ByteBuffer data = ByteBuffer.wrap(bytes, from, to - from);
    long next = at;
    while (data.hasRemaining()) {
      next += channel.write(data, next);
    }
  }

  /** A hole at the end needs a byte behind it. */
  @Override
  public void close() throws IOException {
    try (channel) {
      if (channel.isOpen() && channel.size() < position) {
        put(ZEROES, 0, 1, position - 1);
      }
    }
  }
}
