package io.malleable.image;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PushbackInputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.tukaani.xz.MemoryLimitException;

/**
 * What an initramfs holds: archives in cpio's "newc" format one behind the other, each as it is or
 * compressed (Documentation/driver-api/early-userspace/buffer-format.rst of Linux). Keeps names,
 * and the content of small files that tell what it will do.
 */
final class Initramfs {
  private static final int MAGIC_BYTES = 6;
  private static final int HEADER_BYTES = 110;
  private static final int MAX_NAME_BYTES = 4096;
  private static final int MAX_ENTRIES = 200_000;
  private static final int MAX_ALL_NAME_BYTES = 32 << 20;
  private static final int MAX_KEPT_FILE_BYTES = 512 << 10;
  private static final int MAX_KEPT_BYTES = 8 << 20;

  /** The kernel does not unpack what is compressed twice either. */
  private static final int MAX_NESTING = 1;

  private static final int TYPE_MASK = 0xf000;
  private static final int TYPE_FILE = 0x8000;
  private static final String TRAILER = "TRAILER!!!";

  private final Budget budget;
  private final Predicate<String> keeps;
  private final Set<String> paths = new HashSet<>();
  private final Map<String, byte[]> kept = new HashMap<>();
  private int keptBytes;
  private int entries;
  private long allNameBytes;

  private Initramfs(Budget budget, Predicate<String> keeps) {
    this.budget = budget;
    this.keeps = keeps;
  }

  /**
   * An initramfs with nothing in it.
   *
   * @param keeps of which files the content is kept
   */
  static Initramfs empty(Budget budget, Predicate<String> keeps) {
    return new Initramfs(budget, keeps);
  }

  /**
   * Adds what an image file holds.
   *
   * @throws DamagedException when that makes no sense
   * @throws UnreadableException when it is of a kind, or a size, that is not read here
   */
  void add(InputStream in) throws IOException {
    int before = entries;
    try {
      segments(in, 0);
    } catch (DamagedException | UnreadableException | CheckTimeoutException | StorageException e) {
      throw e;
    } catch (EOFException e) {
      throw new DamagedException("it ends in the middle", e);
    } catch (MemoryLimitException e) {
      throw new UnreadableException(
          "it takes %d MiB of memory to unpack".formatted(e.getMemoryNeeded() >> 10));
    } catch (IOException | RuntimeException e) {
      // What decompressors throw at bytes that they do not understand.
      throw new DamagedException("it cannot be unpacked: " + e.getMessage(), e);
    }
    if (entries == before) {
      throw new DamagedException("it is empty");
    }
  }

  /** Without a leading slash. */
  Set<String> paths() {
    return paths;
  }

  boolean has(String path) {
    return paths.contains(path) || paths.contains("usr/" + path);
  }

  /** The content of a file that was kept. */
  Optional<String> text(String path) {
    byte[] content = kept.getOrDefault(path, kept.get("usr/" + path));
    return content == null
        ? Optional.empty()
        : Optional.of(new String(content, StandardCharsets.UTF_8));
  }

  /** Paths whose content was kept. */
  Set<String> keptPaths() {
    return kept.keySet();
  }

  private void segments(InputStream in, int depth) throws IOException {
    PushbackInputStream input = new PushbackInputStream(new Counted(in, budget), MAGIC_BYTES);
    boolean hasArchive = false;
    while (true) {
      int first = nextByte(input, hasArchive);
      if (first < 0) {
        return;
      }
      input.unread(first);
      byte[] magic = input.readNBytes(MAGIC_BYTES);
      if (magic.length < MAGIC_BYTES) {
        throw new DamagedException("it ends in the middle of a header");
      }
      input.unread(magic);
      String text = new String(magic, StandardCharsets.ISO_8859_1);
      if (text.equals("070701") || text.equals("070702")) {
        archive(input);
        hasArchive = true;
        continue;
      }
      Optional<Compression> compression = Compression.of(magic);
      if (compression.isEmpty() || depth >= MAX_NESTING) {
        throw new DamagedException(
            "its bytes are neither a cpio archive nor compressed in a known way");
      }
      try (InputStream inflated = compression.get().open(input)) {
        segments(inflated, depth + 1);
      }
      return;
    }
  }

  /** The first that is not a zero; -1 at the end. */
  private static int nextByte(InputStream input, boolean hasArchive) throws IOException {
    try {
      int next = input.read();
      while (next == 0) {
        next = input.read();
      }
      return next;
    } catch (DamagedException | UnreadableException | CheckTimeoutException | StorageException e) {
      throw e;
    } catch (IOException e) {
      if (!hasArchive) {
        throw e;
      }
      // Behind a complete archive, padding that the decompressor takes for damage; the kernel does
      // not mind.
      return -1;
    }
  }

  /** One archive up to its trailer; names and contents are padded to multiples of four. */
  private void archive(InputStream in) throws IOException {
    while (true) {
      byte[] header = exactly(in, HEADER_BYTES);
      String magic = new String(header, 0, MAGIC_BYTES, StandardCharsets.ISO_8859_1);
      if (!magic.equals("070701") && !magic.equals("070702")) {
        throw new DamagedException("one of its files has a damaged header");
      }
      long mode = field(header, 1);
      long sizeBytes = field(header, 6);
      long nameBytes = field(header, 11);
      if (nameBytes < 1 || nameBytes > MAX_NAME_BYTES) {
        throw new DamagedException("one of its files has a name of " + nameBytes + " bytes");
      }
      byte[] nameWithZero = exactly(in, (int) nameBytes);
      String name = new String(nameWithZero, 0, (int) nameBytes - 1, StandardCharsets.UTF_8);
      skip(in, padding(HEADER_BYTES + nameBytes));
      if (name.equals(TRAILER)) {
        return;
      }
      entries++;
      allNameBytes += nameBytes;
      if (entries > MAX_ENTRIES || allNameBytes > MAX_ALL_NAME_BYTES) {
        throw new UnreadableException("it holds more than " + MAX_ENTRIES + " files");
      }
      String path = name.replaceFirst("^(?:\\.?+/)++", "");
      paths.add(path);
      if ((mode & TYPE_MASK) == TYPE_FILE && sizeBytes <= MAX_KEPT_FILE_BYTES && keeps.test(path)) {
        keep(path, exactly(in, (int) sizeBytes));
      } else {
        skip(in, sizeBytes);
      }
      skip(in, padding(sizeBytes));
    }
  }

  private void keep(String path, byte[] content) {
    if (keptBytes + content.length <= MAX_KEPT_BYTES) {
      keptBytes += content.length;
      kept.put(path, content);
    }
  }

  private static long padding(long length) {
    return (4 - length % 4) % 4;
  }

  /** Eight hexadecimal digits each, behind the magic number. */
  private static long field(byte[] header, int number) throws DamagedException {
    String digits = new String(header, MAGIC_BYTES + number * 8, 8, StandardCharsets.ISO_8859_1);
    try {
      return Long.parseLong(digits, 16);
    } catch (NumberFormatException e) {
      throw new DamagedException("one of its files has a damaged header", e);
    }
  }

  private static byte[] exactly(InputStream in, int count) throws IOException {
    byte[] bytes = in.readNBytes(count);
    if (bytes.length < count) {
      throw new DamagedException("it ends in the middle of a file");
    }
    return bytes;
  }

  private static void skip(InputStream in, long count) throws IOException {
    byte[] scratch = new byte[(int) Math.min(count, 64 << 10)];
    long left = count;
    while (left > 0) {
      int n = in.read(scratch, 0, (int) Math.min(left, scratch.length));
      if (n < 0) {
        throw new DamagedException("it ends in the middle of a file");
      }
      left -= n;
    }
  }

  /** Counts against the budget what passes through. */
  private static final class Counted extends InputStream {
    private final InputStream in;
    private final Budget budget;
    private final byte[] buffer = new byte[64 << 10];
    private int position;
    private int limit;

    Counted(InputStream in, Budget budget) {
      this.in = in;
      this.budget = budget;
    }

    private boolean fill() throws IOException {
      if (position < limit) {
        return true;
      }
      int count = in.read(buffer, 0, buffer.length);
      position = 0;
      limit = Math.max(count, 0);
      budget.spendInflated(limit);
      return count > 0;
    }

    @Override
    public int read() throws IOException {
      return fill() ? buffer[position++] & 0xff : -1;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      if (!fill()) {
        return -1;
      }
      int count = Math.min(length, limit - position);
      System.arraycopy(buffer, position, target, offset, count);
      position += count;
      return count;
    }
  }
}
