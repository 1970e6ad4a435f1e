package io.malleable.image;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.XZInputStream;

/** How the kernel lets an initramfs be compressed (its {@code lib/decompress.c}). */
enum Compression {
  GZIP("gzip"),
  ZSTD("zstd"),
  XZ("xz"),
  LZMA("lzma"),
  BZIP2("bzip2"),
  LZ4("lz4"),
  LZO("lzo");

  /** For the 64 MiB dictionary of {@code xz -9}; a hostile header may ask for 4 GiB. */
  private static final int MAX_MEMORY_KIB = 66 << 10;

  private static final int ZSTD_MAX_WINDOW_LOG = 27;

  private final String word;

  Compression(String word) {
    this.word = word;
  }

  String word() {
    return word;
  }

  /** By the first six bytes. */
  static Optional<Compression> of(byte[] magic) {
    int first = ByteBuffer.wrap(magic).getInt(0);
    if (first >>> 16 == 0x1f8b) {
      return Optional.of(GZIP);
    }
    return switch (first) {
      case 0x28b52ffd -> Optional.of(ZSTD);
      case 0xfd377a58 -> Optional.of(XZ);
      case 0x02214c18 -> Optional.of(LZ4);
      case 0x894c5a4f -> Optional.of(LZO);
      default -> {
        if (first >>> 8 == 0x425a68) {
          yield Optional.of(BZIP2);
        }
        // A properties byte and the low half of a dictionary size that is a power of two.
        yield first >>> 8 == 0x5d0000 ? Optional.of(LZMA) : Optional.empty();
      }
    };
  }

  /**
   * The bytes before compression.
   *
   * @throws UnreadableException when this kind is not read here
   */
  InputStream open(InputStream in) throws IOException {
    return switch (this) {
      case GZIP -> new GZIPInputStream(in, 64 << 10);
      case ZSTD -> new ZstdInputStreamNoFinalizer(in).setLongMax(ZSTD_MAX_WINDOW_LOG);
      case XZ -> new XZInputStream(in, MAX_MEMORY_KIB);
      case LZMA -> new LZMAInputStream(in, MAX_MEMORY_KIB);
      case BZIP2 -> new BZip2CompressorInputStream(in, true);
      case LZ4 -> new LegacyLz4(in);
      case LZO ->
          throw new UnreadableException("it is compressed with lzo, which cannot be read here");
    };
  }

  /** The frame of {@code lz4 -l}: a magic number, then blocks of a length and at most 8 MiB. */
  private static final class LegacyLz4 extends InputStream {
    private static final int MAX_BLOCK_BYTES = 8 << 20;
    private static final int MAGIC = 0x184c2102;

    private final InputStream in;
    private InputStream block = InputStream.nullInputStream();

    LegacyLz4(InputStream in) throws IOException {
      this.in = in;
      int magic = nextInt();
      if (magic != MAGIC) {
        throw new DamagedException("it is not lz4");
      }
    }

    /** -1 at the end. */
    private int nextInt() throws IOException {
      byte[] bytes = in.readNBytes(4);
      return bytes.length < 4 ? -1 : ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      while (true) {
        int count = block.read(buffer, offset, length);
        if (count >= 0) {
          return count;
        }
        int size = nextInt();
        if (size == MAGIC) {
          continue;
        }
        if (size <= 0) {
          return -1;
        }
        if (size > MAX_BLOCK_BYTES + MAX_BLOCK_BYTES / 255 + 16) {
          throw new DamagedException("an lz4 block claims " + size + " bytes");
        }
        byte[] compressed = in.readNBytes(size);
        if (compressed.length < size) {
          throw new DamagedException("it ends within an lz4 block");
        }
        block = new BlockLZ4CompressorInputStream(new ByteArrayInputStream(compressed));
      }
    }
  }
}
