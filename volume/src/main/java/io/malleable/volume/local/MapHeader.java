package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/**
 * The header of a {@link MapLog}: whose map it is.
 *
 * @param generation rises by one each time the log is replaced by one without history
 * @param madeBytes where the log ended when it was made, the seal not counted; 0 in version 1
 */
record MapHeader(int version, UUID layer, Optional<UUID> parent, int generation, long madeBytes) {
  int bytes() {
    return version == 1 ? MapLog.HEADER_BYTES_OF_1 : MapLog.HEADER_BYTES;
  }

  static MapHeader read(StoreFiles files, UUID expected) throws IOException {
    try (StoreFile file = files.open(StoreLayout.map(expected))) {
      return read(file, expected);
    }
  }

  static MapHeader read(StoreFile file, UUID expected) throws IOException {
    String name = StoreLayout.map(expected);
    ByteBuffer header =
        Formats.read(
            file,
            name,
            new Formats.Kind(MapLog.MAGIC, MapLog.VERSION),
            version -> version == 1 ? MapLog.HEADER_BYTES_OF_1 : MapLog.HEADER_BYTES);
    int blockShift = header.getInt();
    if (blockShift != BlockMap.BLOCK_SHIFT) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s has blocks of 2^%d bytes, expected 2^%d"
              .formatted(name, blockShift, BlockMap.BLOCK_SHIFT));
    }
    UUID layer = Formats.readId(header);
    if (!layer.equals(expected)) {
      throw new VolumeException(Reason.CORRUPT, name + " is the map of layer " + layer);
    }
    Optional<UUID> parent = Formats.readOptionalId(header);
    int version = header.getInt(Formats.VERSION_OFFSET);
    int generation = header.getInt();
    return new MapHeader(version, layer, parent, generation, version == 1 ? 0 : header.getLong());
  }

  void write(StoreFile file, long endBytes) throws IOException {
    ByteBuffer bytes =
        Formats.header(MapLog.MAGIC, version, MapLog.HEADER_BYTES).putInt(BlockMap.BLOCK_SHIFT);
    Formats.putId(bytes, Optional.of(layer));
    Formats.putId(bytes, parent);
    file.write(0, Formats.seal(bytes.putInt(generation).putLong(endBytes)));
  }
}
