package io.malleable.control;

import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.util.UUID;
import java.util.function.Function;

/** Asks the store for what the database does not keep. */
final class Measure {
  private Measure() {}

  /** What a volume occupies by itself; 0 while there is none. */
  static long allocatedBytes(VolumeStore store, UUID id) {
    return measure(store, id, VolumeInfo::allocatedBytes);
  }

  /** What is stored because a volume differs from its parent; 0 while there is none. */
  static long divergedBytes(VolumeStore store, UUID id) {
    return measure(store, id, VolumeInfo::divergedBytes);
  }

  private static long measure(VolumeStore store, UUID id, Function<VolumeInfo, Long> measure) {
    try {
      return store.find(id).map(measure).orElse(0L);
    } catch (IOException e) {
      throw Failures.of(e);
    }
  }
}
