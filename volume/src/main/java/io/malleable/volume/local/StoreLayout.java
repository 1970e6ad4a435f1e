package io.malleable.volume.local;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Where the files of a local store lie. */
final class StoreLayout {
  static final String VOLUMES = "volumes";
  static final String LAYERS = "layers";
  static final String INTENTS = "intents";
  static final String LOST_WRITES = "interrupted";
  static final String TEMPORARY = ".tmp";
  static final String MAP = ".map";
  static final String DATA = ".data";
  static final String SUMS = ".sums";
  static final String PACK = ".pack";
  static final String TAIL = ".tail";
  static final String LIVE = ".live";

  /** In place of a disk's id. */
  static final UUID NOBODY = new UUID(0, 0);

  private StoreLayout() {}

  static String volume(UUID id) {
    return VOLUMES + "/" + id;
  }

  static String map(UUID layer) {
    return LAYERS + "/" + layer + MAP;
  }

  static String data(UUID layer) {
    return LAYERS + "/" + layer + DATA;
  }

  static String sums(UUID layer) {
    return LAYERS + "/" + layer + SUMS;
  }

  static String pack(UUID layer) {
    return LAYERS + "/" + layer + PACK;
  }

  static String tail(UUID layer) {
    return LAYERS + "/" + layer + TAIL;
  }

  static String live(UUID layer) {
    return LAYERS + "/" + layer + LIVE;
  }

  static String lostWrites(UUID disk) {
    return LOST_WRITES + "/" + disk;
  }

  static String intent(UUID volume) {
    return INTENTS + "/" + volume;
  }

  /** The id that a file's name is, written as we write ids; null when it is none. */
  static @Nullable UUID idOrNull(String name) {
    try {
      UUID id = UUID.fromString(name);
      return id.toString().equals(name) ? id : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  static String directoryOf(String name) {
    return name.substring(0, name.lastIndexOf('/'));
  }

  /** For cleaning up on the way out with another error, which stays the one that is told. */
  static void deleteQuietly(StoreFiles files, String name, IOException cause) {
    try {
      files.delete(name);
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /** On the way out with another error. */
  static void closeQuietly(Closeable file, IOException cause) {
    try {
      file.close();
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /** What the files of all these layers occupy: there may be thousands to ask about. */
  static long allocatedBytes(StoreFiles files, List<UUID> layers) throws IOException {
    long sum = 0;
    for (UUID layer : layers) {
      sum += allocatedBytes(files, layer);
    }
    return sum;
  }

  /** What a layer's files occupy; of those that are absent, nothing. */
  static long allocatedBytes(StoreFiles files, UUID layer) throws IOException {
    return allocatedBytes(files, data(layer))
        + allocatedBytes(files, map(layer))
        + allocatedBytes(files, pack(layer))
        + allocatedBytes(files, tail(layer));
  }

  private static long allocatedBytes(StoreFiles files, String name) throws IOException {
    try (StoreFile file = files.open(name)) {
      return file.allocatedBytes();
    } catch (NoSuchFileException e) {
      // Just deleted, never made, or lost: a scrub tells the last from the others.
      return 0;
    }
  }
}
