package io.malleable.volume;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/**
 * What makes a long write whole or undone: its data is kept apart, durably, before the blocks are
 * overwritten in place, and forgotten, durably, once those are. A store that finds an intent when
 * it is opened writes it again.
 */
final class WriteIntent {
  /** Longest write; a power of two that every initiator's largest request divides or reaches. */
  static final int MAX_BYTES = 256 << 10;

  static final long MAGIC = 0x4d32494e54454e54L; // "M2INTENT"

  private static final Logger LOG = System.getLogger(WriteIntent.class.getName());
  private static final int HEADER_BYTES =
      Formats.PREFIX_BYTES + 16 + Long.BYTES + 2 * Integer.BYTES + Formats.CRC_BYTES;

  private WriteIntent() {}

  /** Durable when it returns; the buffer stays as it is. */
  static void publish(StoreFiles files, UUID volume, long offsetBytes, ByteBuffer data)
      throws IOException {
    int lengthBytes = data.remaining();
    ByteBuffer header = Formats.header(MAGIC, HEADER_BYTES);
    Formats.putId(header, Optional.of(volume));
    header.putLong(offsetBytes).putInt(lengthBytes);
    header.putInt(Formats.crc(data, data.position(), data.limit()));
    ByteBuffer content = ByteBuffer.allocate(HEADER_BYTES + lengthBytes);
    content.put(Formats.seal(header)).put(data.duplicate()).flip();
    Formats.publish(files, StoreLayout.intent(volume), content);
  }

  /** Durable when it returns: a later write to the same place is not undone by a replay. */
  static void forget(StoreFiles files, UUID volume) throws IOException {
    files.delete(StoreLayout.intent(volume));
    files.syncDirectory(StoreLayout.INTENTS);
  }

  /** Finishes the writes that a crash cut off. */
  static void replayAll(StoreFiles files, LocalVolumeStore store) throws IOException {
    files.createDirectory(StoreLayout.INTENTS);
    for (String name : files.list(StoreLayout.INTENTS)) {
      if (name.endsWith(StoreLayout.TEMPORARY)) {
        files.delete(StoreLayout.INTENTS + "/" + name);
      } else {
        UUID volume = UUID.fromString(name);
        try {
          replay(files, store, volume);
          forget(files, volume);
        } catch (VolumeException e) {
          // Kept, because it may be the only copy of what the guest was told is written.
          LOG.log(Level.ERROR, "the write kept for volume " + volume + " cannot be finished", e);
        }
      }
    }
  }

  private static void replay(StoreFiles files, LocalVolumeStore store, UUID volume)
      throws IOException {
    String name = StoreLayout.intent(volume);
    try (StoreFile file = files.open(name)) {
      ByteBuffer header = Formats.read(file, name, MAGIC, HEADER_BYTES);
      UUID id = Formats.readId(header);
      long offsetBytes = header.getLong();
      ByteBuffer data = ByteBuffer.allocateDirect(checkedLength(name, header.getInt()));
      int expectedCrc = header.getInt();
      file.read(HEADER_BYTES, data);
      int actualCrc = Formats.crc(data.flip(), 0, data.limit());
      if (!id.equals(volume) || actualCrc != expectedCrc) {
        throw new VolumeException(
            VolumeException.Reason.CORRUPT,
            "%s: checksum of the data is %08x, expected %08x, for volume %s"
                .formatted(name, actualCrc, expectedCrc, id));
      }
      if (store.find(volume).filter(info -> !info.sealed()).isPresent()) {
        try (Volume opened = store.open(volume)) {
          opened.write(offsetBytes, data);
        }
      }
    }
  }

  private static int checkedLength(String name, int lengthBytes) throws VolumeException {
    if (lengthBytes <= 0 || lengthBytes > MAX_BYTES) {
      throw new VolumeException(
          VolumeException.Reason.CORRUPT,
          "%s keeps %d bytes, expected 1 to %d".formatted(name, lengthBytes, MAX_BYTES));
    }
    return lengthBytes;
  }
}
