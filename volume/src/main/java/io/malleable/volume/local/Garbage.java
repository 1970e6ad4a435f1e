package io.malleable.volume.local;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Files that nobody needs any more: deleted by the maintenance, without the lock, or after the next
 * start. A file system that discards takes seconds for a file of many extents. Guarded by the
 * catalogue's lock.
 */
final class Garbage {
  private final StoreFiles files;
  private final Queue<String> names = new ArrayDeque<>();

  Garbage(StoreFiles files) {
    this.files = files;
  }

  void add(List<String> unneeded) {
    names.addAll(unneeded);
  }

  /**
   * A file of a layer loses its name at once, durably so at the next sync of the directory, and is
   * deleted later. An absent one is no error.
   */
  void discard(String name) throws IOException {
    String nameless = StoreLayout.LAYERS + "/" + UUID.randomUUID() + StoreLayout.TEMPORARY;
    try {
      files.rename(name, nameless);
      names.add(nameless);
    } catch (NoSuchFileException e) {
      // What is to be there no longer is not there.
    }
  }

  boolean isEmpty() {
    return names.isEmpty();
  }

  /** The next file to delete, or null. */
  @Nullable String take() {
    return names.poll();
  }
}
