package io.malleable.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A drive, or a part of one, read through a small cache: metadata is read in pieces of a few bytes.
 * Owned by the thread that checks.
 */
final class Drive {
  private static final int PAGE_BYTES = 64 << 10;
  private static final int MAX_PAGES = 128;

  private final Pages pages;
  private final long startBytes;
  private final long sizeBytes;

  private Drive(Pages pages, long startBytes, long sizeBytes) {
    this.pages = pages;
    this.startBytes = startBytes;
    this.sizeBytes = sizeBytes;
  }

  static Drive of(DriveContent content, Budget budget) {
    return new Drive(new Pages(content, budget), 0, content.sizeBytes());
  }

  long sizeBytes() {
    return sizeBytes;
  }

  /** A part of it, cut off where it ends. */
  Drive part(long offsetBytes, long lengthBytes) throws DamagedException {
    if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes > sizeBytes) {
      throw new DamagedException("a part at " + offsetBytes + " lies behind the end of the drive");
    }
    return new Drive(
        pages, startBytes + offsetBytes, Math.min(lengthBytes, sizeBytes - offsetBytes));
  }

  /** A copy of the bytes, in little-endian order as every format on a PC's drive. */
  ByteBuffer read(long offsetBytes, int lengthBytes) throws IOException {
    if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes > sizeBytes - lengthBytes) {
      throw new DamagedException(
          "%d bytes at %d lie behind the end at %d".formatted(lengthBytes, offsetBytes, sizeBytes));
    }
    ByteBuffer bytes = ByteBuffer.allocate(lengthBytes);
    long at = startBytes + offsetBytes;
    while (bytes.hasRemaining()) {
      ByteBuffer page = pages.at(at / PAGE_BYTES);
      int from = (int) (at % PAGE_BYTES);
      int count = Math.min(bytes.remaining(), page.limit() - from);
      bytes.put(page.slice(from, count));
      at += count;
    }
    return bytes.flip().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** As {@link #read}, with zeroes for what lies behind the end. */
  ByteBuffer head(int lengthBytes) throws IOException {
    byte[] bytes = new byte[lengthBytes];
    int there = (int) Math.min(lengthBytes, sizeBytes);
    read(0, there).get(bytes, 0, there);
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The latest pages. */
  private static final class Pages {
    private final DriveContent content;
    private final Budget budget;
    private final Map<Long, ByteBuffer> latest = new LinkedHashMap<>(MAX_PAGES, 0.75f, true);

    Pages(DriveContent content, Budget budget) {
      this.content = content;
      this.budget = budget;
    }

    ByteBuffer at(long number) throws IOException {
      // Before the cache too: what goes round in it may take as long as it likes otherwise.
      budget.checkTime();
      ByteBuffer known = latest.get(number);
      if (known != null) {
        return known;
      }
      long offset = number * PAGE_BYTES;
      ByteBuffer page =
          ByteBuffer.allocate((int) Math.min(PAGE_BYTES, content.sizeBytes() - offset));
      try {
        content.read(offset, page);
      } catch (IOException e) {
        throw new StorageException(e);
      }
      page.flip();
      if (latest.size() >= MAX_PAGES) {
        latest.remove(latest.keySet().iterator().next());
      }
      latest.put(number, page);
      return page;
    }
  }
}
