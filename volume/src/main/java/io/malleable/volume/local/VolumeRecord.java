package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/**
 * What the store keeps of one volume, in a file of its own that is only ever replaced as a whole.
 *
 * @param layer the topmost layer
 * @param parent the volume it was cloned from
 * @param disk for a snapshot, the disk it was taken of
 */
record VolumeRecord(
    UUID id,
    boolean sealed,
    long sizeBytes,
    UUID layer,
    Optional<UUID> parent,
    Optional<UUID> disk) {
  static final long MAGIC = 0x4d32564f4c554d45L; // "M2VOLUME"
  private static final int LENGTH_BYTES =
      Formats.PREFIX_BYTES + Integer.BYTES + 16 + Long.BYTES + 3 * 16 + Formats.CRC_BYTES;
  private static final int FLAG_SEALED = 1;

  void publish(StoreFiles files) throws IOException {
    ByteBuffer buffer = Formats.header(MAGIC, LENGTH_BYTES);
    buffer.putInt(sealed ? FLAG_SEALED : 0);
    Formats.putId(buffer, Optional.of(id));
    buffer.putLong(sizeBytes);
    Formats.putId(buffer, Optional.of(layer));
    Formats.putId(buffer, parent);
    Formats.putId(buffer, disk);
    Formats.publish(files, StoreLayout.volume(id), Formats.seal(buffer));
  }

  static VolumeRecord read(StoreFiles files, UUID expectedId) throws IOException {
    String name = StoreLayout.volume(expectedId);
    try (StoreFile file = files.open(name)) {
      ByteBuffer buffer = Formats.read(file, name, MAGIC, LENGTH_BYTES);
      boolean sealed = (buffer.getInt() & FLAG_SEALED) != 0;
      UUID id = Formats.readId(buffer);
      if (!id.equals(expectedId)) {
        throw new VolumeException(Reason.CORRUPT, name + " is the record of volume " + id);
      }
      return new VolumeRecord(
          id,
          sealed,
          buffer.getLong(),
          Formats.readId(buffer),
          Formats.readOptionalId(buffer),
          Formats.readOptionalId(buffer));
    }
  }

  void refuseSealed() throws VolumeException {
    if (sealed) {
      throw new VolumeException(
          Reason.SEALED, "volume " + id + " is sealed; clone it to change it");
    }
  }

  VolumeRecord asSealed() {
    return new VolumeRecord(id, true, sizeBytes, layer, parent, disk);
  }

  VolumeRecord withSize(long newSizeBytes) {
    return new VolumeRecord(id, sealed, newSizeBytes, layer, parent, disk);
  }

  VolumeRecord withLayer(UUID newLayer) {
    return new VolumeRecord(id, sealed, sizeBytes, newLayer, parent, disk);
  }

  VolumeRecord withParent(Optional<UUID> newParent) {
    return new VolumeRecord(id, sealed, sizeBytes, layer, newParent, disk);
  }
}
