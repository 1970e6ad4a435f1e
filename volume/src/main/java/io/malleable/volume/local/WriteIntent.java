package io.malleable.volume.local;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import java.io.EOFException;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.file.NoSuchFileException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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

  /**
   * Finishes the writes that a crash cut off.
   *
   * @return volumes whose write could not be finished: a later replay would undo what is written to
   *     them until then
   */
  static Map<UUID, IOException> replayAll(StoreFiles files, LocalVolumeStore store)
      throws IOException {
    files.createDirectory(StoreLayout.INTENTS);
    // One that was forgotten, but not durably, must not come back over what is written from now on.
    files.syncDirectory(StoreLayout.INTENTS);
    Map<UUID, IOException> unfinished = new HashMap<>();
    for (String name : files.list(StoreLayout.INTENTS)) {
      UUID volume = StoreLayout.idOrNull(name);
      if (volume != null) {
        replay(files, store, volume, unfinished);
      } else if (name.endsWith(StoreLayout.TEMPORARY)) {
        deleteUnfinished(files, StoreLayout.INTENTS + "/" + name);
      } else {
        LOG.log(Level.WARNING, "left alone, not a file of this store: intents/{0}", name);
      }
    }
    return unfinished;
  }

  private static void deleteUnfinished(StoreFiles files, String name) {
    try {
      files.delete(name);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot delete the unfinished " + name, e);
    }
  }

  private static void replay(
      StoreFiles files, LocalVolumeStore store, UUID volume, Map<UUID, IOException> unfinished) {
    try {
      Content content = read(files, volume);
      try {
        finish(files, store, volume, content);
      } catch (IOException e) {
        unfinished.put(volume, e);
        throw e;
      }
    } catch (IOException e) {
      // Kept, because it may be the only copy of what is half written.
      LOG.log(Level.ERROR, "the write kept for volume " + volume + " cannot be finished", e);
      boolean lost = e instanceof VolumeException known && known.reason() == Reason.CORRUPT;
      if (!lost) {
        unfinished.put(volume, e);
      }
    }
  }

  private static void finish(StoreFiles files, LocalVolumeStore store, UUID volume, Content content)
      throws IOException {
    Optional<VolumeInfo> disk = store.find(volume).filter(info -> !info.sealed());
    if (disk.isPresent()) {
      if (content.offsetBytes > disk.get().sizeBytes() - content.data.remaining()) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s is of a write at byte %d, behind the end of the volume"
                .formatted(StoreLayout.intent(volume), content.offsetBytes));
      }
      try (Volume opened = store.open(volume)) {
        store.recoverIfFailed(volume);
        opened.write(content.offsetBytes, content.data);
      }
    }
    forget(files, volume);
  }

  /** The intents that cannot be read, by volume. */
  static Map<UUID, IOException> damaged(StoreFiles files) throws IOException {
    List<String> names;
    try {
      names = files.list(StoreLayout.INTENTS);
    } catch (NoSuchFileException e) {
      // No directory for them either: opened for reading, and never for more.
      return Map.of();
    }
    Map<UUID, IOException> found = new HashMap<>();
    for (String name : names) {
      UUID volume = StoreLayout.idOrNull(name);
      if (volume != null) {
        try {
          read(files, volume);
        } catch (IOException e) {
          boolean finishedMeanwhile = e instanceof NoSuchFileException;
          if (!finishedMeanwhile) {
            found.put(volume, e);
          }
        }
      }
    }
    return found;
  }

  private record Content(long offsetBytes, ByteBuffer data) {}

  private static Content read(StoreFiles files, UUID volume) throws IOException {
    String name = StoreLayout.intent(volume);
    try (StoreFile file = files.open(name)) {
      ByteBuffer header = Formats.read(file, name, MAGIC, HEADER_BYTES);
      UUID id = Formats.readId(header);
      long offsetBytes = header.getLong();
      ByteBuffer data = ByteBuffer.allocateDirect(checkedLength(name, header.getInt()));
      int expectedCrc = header.getInt();
      try {
        file.read(HEADER_BYTES, data);
      } catch (EOFException e) {
        throw new VolumeException(Reason.CORRUPT, name + " is cut off", e);
      }
      int actualCrc = Formats.crc(data.flip(), 0, data.limit());
      if (!id.equals(volume) || actualCrc != expectedCrc) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s: checksum of the data is %08x, expected %08x, for volume %s"
                .formatted(name, actualCrc, expectedCrc, id));
      }
      return new Content(offsetBytes, data);
    }
  }

  private static int checkedLength(String name, int lengthBytes) throws VolumeException {
    if (lengthBytes <= 0 || lengthBytes > MAX_BYTES) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s keeps %d bytes, expected 1 to %d".formatted(name, lengthBytes, MAX_BYTES));
    }
    return lengthBytes;
  }
}
