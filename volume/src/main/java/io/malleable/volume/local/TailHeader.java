package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/**
 * The header of a {@link MapTail}: who uses the layer, or left it, and how.
 *
 * @param boot of the host
 * @param flags {@link #IN_USE}, {@link #FAILED}
 * @param pages of slots
 */
record TailHeader(UUID layer, UUID disk, UUID boot, int flags, int pages) {
  static final long MAGIC = 0x4d324c415954414cL; // "M2LAYTAL"

  /** The layer may have what is not durable. */
  static final int IN_USE = 1;

  /** A sync of the layer had failed. */
  static final int FAILED = 2;

  private static final int BYTES =
      Formats.PREFIX_BYTES + 3 * 16 + 2 * Integer.BYTES + Formats.CRC_BYTES;

  boolean inUse() {
    return (flags & IN_USE) != 0;
  }

  boolean failed() {
    return (flags & FAILED) != 0;
  }

  /** Empty when the host went down before it was written. */
  static Optional<TailHeader> read(StoreFiles files, UUID expected) throws IOException {
    try (StoreFile file = files.open(StoreLayout.tail(expected))) {
      return read(file, expected);
    }
  }

  static Optional<TailHeader> read(StoreFile file, UUID expected) throws IOException {
    String name = StoreLayout.tail(expected);
    ByteBuffer magic = ByteBuffer.allocate(Long.BYTES);
    if (file.sizeBytes() < BYTES) {
      return Optional.empty();
    }
    file.read(0, magic);
    if (magic.getLong(0) == 0) {
      return Optional.empty();
    }
    ByteBuffer header = Formats.read(file, name, MAGIC, BYTES);
    UUID layer = Formats.readId(header);
    if (!layer.equals(expected)) {
      throw new VolumeException(Reason.CORRUPT, name + " is the tail of layer " + layer);
    }
    return Optional.of(
        new TailHeader(
            layer,
            Formats.readId(header),
            Formats.readId(header),
            header.getInt(),
            header.getInt()));
  }

  ByteBuffer bytes() {
    ByteBuffer header = Formats.header(MAGIC, BYTES);
    Formats.putId(header, Optional.of(layer));
    Formats.putId(header, Optional.of(disk));
    Formats.putId(header, Optional.of(boot));
    return Formats.seal(header.putInt(flags).putInt(pages));
  }
}
