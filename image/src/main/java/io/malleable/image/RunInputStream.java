package io.malleable.image;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** A file that lies in runs on a drive; what no run covers reads as zeroes. */
final class RunInputStream extends InputStream {
  private static final int CHUNK_BYTES = 64 << 10;

  /** Consecutive bytes of a file that are consecutive on the drive. */
  record Run(long fileOffsetBytes, long driveOffsetBytes, long lengthBytes) {}

  private final Drive drive;
  private final List<Run> runs;
  private final long sizeBytes;
  private long position;
  private int current;

  /** The runs are in order and do not overlap. */
  RunInputStream(Drive drive, List<Run> runs, long sizeBytes) {
    this.drive = drive;
    this.runs = runs;
    this.sizeBytes = sizeBytes;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, buffer.length);
    if (length == 0) {
      return 0;
    }
    if (position >= sizeBytes) {
      return -1;
    }
    while (current < runs.size() && end(runs.get(current)) <= position) {
      current++;
    }
    long wanted = Math.min(Math.min(length, CHUNK_BYTES), sizeBytes - position);
    Run run = current < runs.size() ? runs.get(current) : null;
    int count;
    if (run == null || run.fileOffsetBytes() > position) {
      count = (int) (run == null ? wanted : Math.min(wanted, run.fileOffsetBytes() - position));
      Arrays.fill(buffer, offset, offset + count, (byte) 0);
    } else {
      count = (int) Math.min(wanted, end(run) - position);
      drive
          .read(run.driveOffsetBytes() + position - run.fileOffsetBytes(), count)
          .get(buffer, offset, count);
    }
    position += count;
    return count;
  }

  private static long end(Run run) {
    return run.fileOffsetBytes() + run.lengthBytes();
  }
}
