package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.function.IntUnaryOperator;
import java.util.zip.CRC32C;

/** What all files of the local store have in common: see docs/formats/local-volume-store.md. */
final class Formats {
  static final int VERSION = 1;

  /** Magic (8 bytes) and version (4 bytes). */
  static final int PREFIX_BYTES = 12;

  static final int CRC_BYTES = 4;
  static final int VERSION_OFFSET = 8;

  private static final UUID NONE = new UUID(0, 0);

  private Formats() {}

  /** Starts a header; the caller puts the fields and ends it with {@link #seal}. */
  static ByteBuffer header(long magic, int lengthBytes) {
    return header(magic, VERSION, lengthBytes);
  }

  static ByteBuffer header(long magic, int version, int lengthBytes) {
    return ByteBuffer.allocate(lengthBytes).putLong(magic).putInt(version);
  }

  /** Puts the checksum of everything before the position and flips the buffer. */
  static ByteBuffer seal(ByteBuffer header) {
    return header.putInt(crc(header, 0, header.position())).flip();
  }

  /**
   * Reads and checks a header of a known length.
   *
   * @return positioned behind the version
   */
  static ByteBuffer read(StoreFile file, String name, long magic, int lengthBytes)
      throws IOException {
    return read(file, name, new Kind(magic, VERSION), _ -> lengthBytes);
  }

  /**
   * A kind of file.
   *
   * @param newest the latest version that is known; those from 1 on are read
   */
  record Kind(long magic, int newest) {}

  /** The same for a file of which several versions are known. */
  static ByteBuffer read(StoreFile file, String name, Kind kind, IntUnaryOperator lengthOfVersion)
      throws IOException {
    int lengthBytes = lengthOfVersion.applyAsInt(VERSION);
    ByteBuffer header = ByteBuffer.allocate(lengthBytes);
    try {
      file.read(0, header.limit(PREFIX_BYTES));
      int version = header.getInt(VERSION_OFFSET);
      checkVersion(name, kind, header.getLong(0), version);
      lengthBytes = lengthOfVersion.applyAsInt(version);
      header = ByteBuffer.allocate(lengthBytes).put(header.flip());
      file.read(PREFIX_BYTES, header);
    } catch (EOFException e) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s is cut off: %d bytes, expected at least %d"
              .formatted(name, file.sizeBytes(), lengthBytes),
          e);
    }
    int stored = header.getInt(lengthBytes - CRC_BYTES);
    int actual = crc(header, 0, lengthBytes - CRC_BYTES);
    if (stored != actual) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s: checksum of the header is %08x, expected %08x".formatted(name, actual, stored));
    }
    return header.position(PREFIX_BYTES);
  }

  private static void checkVersion(String name, Kind kind, long magic, int version)
      throws VolumeException {
    if (magic != kind.magic) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s starts with %016x, expected %016x".formatted(name, magic, kind.magic));
    }
    if (version > kind.newest) {
      throw new VolumeException(
          Reason.FORMAT_TOO_NEW,
          "%s has format version %d, this program knows up to %d: use a newer release"
              .formatted(name, version, kind.newest));
    }
    if (version < VERSION) {
      throw new VolumeException(
          Reason.FORMAT_TOO_OLD,
          "%s has format version %d, this program needs %d: convert it with an older release"
              .formatted(name, version, VERSION));
    }
  }

  static int crc(ByteBuffer buffer, int from, int to) {
    CRC32C crc = new CRC32C();
    crc.update(buffer.duplicate().limit(to).position(from));
    return (int) crc.getValue();
  }

  static void putId(ByteBuffer buffer, Optional<UUID> id) {
    UUID written = id.orElse(NONE);
    buffer.putLong(written.getMostSignificantBits()).putLong(written.getLeastSignificantBits());
  }

  static UUID readId(ByteBuffer buffer) {
    return new UUID(buffer.getLong(), buffer.getLong());
  }

  static Optional<UUID> readOptionalId(ByteBuffer buffer) {
    UUID id = readId(buffer);
    return id.equals(NONE) ? Optional.empty() : Optional.of(id);
  }

  /**
   * Publishes a small file in one step: after a crash it has the old content or the new one.
   *
   * @param name {@code directory/file}
   */
  static void publish(StoreFiles files, String name, ByteBuffer content) throws IOException {
    String temporary = name + StoreLayout.TEMPORARY;
    try (StoreFile file = files.create(temporary)) {
      file.write(0, content);
      file.sync();
    } catch (IOException e) {
      StoreLayout.deleteQuietly(files, temporary, e);
      throw e;
    }
    files.rename(temporary, name);
    files.syncDirectory(StoreLayout.directoryOf(name));
  }
}
