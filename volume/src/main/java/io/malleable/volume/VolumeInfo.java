package io.malleable.volume;

import java.util.Optional;
import java.util.UUID;

/**
 * What a store knows of one volume.
 *
 * @param sizeBytes virtual size
 * @param allocatedBytes what the volume occupies by itself, without what it shares with its
 *     ancestors
 * @param parent the volume it was cloned from; for a snapshot, the parent that its disk had
 */
public record VolumeInfo(
    UUID id, boolean sealed, long sizeBytes, long allocatedBytes, Optional<UUID> parent) {}
