package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Which volumes that are not in use have the {@link WriteIntent} of an atomic write left on disk,
 * whose replay at the next start would undo what was written since. Guarded by the catalogue's
 * lock.
 */
final class IntentTable {
  private final StoreFiles files;

  /** Atomic writes that could not be finished when the store was opened. */
  private final Map<UUID, IOException> unfinished = new HashMap<>();

  /** Of volumes that were closed before the intent of an atomic write that failed was forgotten. */
  private final Set<UUID> left = new HashSet<>();

  IntentTable(StoreFiles files) {
    this.files = files;
  }

  /** At start: what could not be finished, and why. */
  void load(Map<UUID, IOException> causes) {
    unfinished.putAll(causes);
  }

  /** Finished at a later start, the write would undo what is written in the meantime. */
  void requireFinished(UUID volume) throws VolumeException {
    IOException cause = unfinished.get(volume);
    if (cause != null) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "volume %s has a write that could not be finished: %s; start the server again when the storage works"
              .formatted(volume, cause.getMessage()),
          cause);
    }
  }

  /** The volume is closed, and its intent still there. */
  void leave(UUID volume) {
    left.add(volume);
  }

  /** Whether the volume, which is opened, has an intent left. */
  boolean isLeft(UUID volume) {
    return left.contains(volume);
  }

  /** That is the volume's own affair from now on. */
  void take(UUID volume) {
    left.remove(volume);
  }

  /** Before the volume gets another content, which an intent would undo. */
  void forget(UUID volume) throws IOException {
    if (left.contains(volume) || unfinished.containsKey(volume)) {
      WriteIntent.forget(files, volume);
      left.remove(volume);
      unfinished.remove(volume);
    }
  }
}
