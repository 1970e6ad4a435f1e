package io.malleable.volume;

import java.util.Optional;
import java.util.UUID;

/**
 * What a store knows of one volume.
 *
 * @param sizeBytes virtual size
 * @param allocatedBytes what the volume occupies by itself, without what it shares with its
 *     ancestors; no byte is counted for two volumes
 * @param divergedBytes what is stored because the volume differs from its parent (without one, what
 *     is stored of it at all), whether it was written since the last snapshot or is kept by
 *     snapshots, too; at least {@code allocatedBytes}
 * @param parent the volume it was cloned from; for a snapshot, the parent that its disk had
 */
public record VolumeInfo(
    UUID id,
    boolean sealed,
    long sizeBytes,
    long allocatedBytes,
    long divergedBytes,
    Optional<UUID> parent) {

  /** Of a volume that has diverged by nothing but what it occupies alone. */
  public VolumeInfo(
      UUID id, boolean sealed, long sizeBytes, long allocatedBytes, Optional<UUID> parent) {
    this(id, sealed, sizeBytes, allocatedBytes, allocatedBytes, parent);
  }
}
