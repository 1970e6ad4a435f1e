package io.malleable.control;

import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.util.UUID;

/** Asks the store for what the database does not keep. */
final class Measure {
  private Measure() {}

  /** What a volume occupies by itself; 0 while there is none. */
  static long allocatedBytes(VolumeStore store, UUID id) {
    try {
      return store.find(id).map(VolumeInfo::allocatedBytes).orElse(0L);
    } catch (IOException e) {
      throw Failures.of(e);
    }
  }
}
