package io.malleable.volume.local;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The records of the volumes that can be used, found by what they name as well. Guarded by the
 * catalogue's lock.
 */
final class VolumeTable {
  private final Map<UUID, VolumeRecord> records = new HashMap<>();
  private final Map<UUID, Set<UUID>> byLayer = new HashMap<>();
  private final Map<UUID, Set<UUID>> byParent = new HashMap<>();

  /** In place of the volume's former record, if there was one. */
  void put(VolumeRecord volume) {
    remove(volume.id());
    records.put(volume.id(), volume);
    byLayer.computeIfAbsent(volume.layer(), _ -> new LinkedHashSet<>()).add(volume.id());
    volume
        .parent()
        .ifPresent(parent ->
            byParent.computeIfAbsent(parent, _ -> new LinkedHashSet<>()).add(volume.id()));
  }

  /** The record that there was, or null. */
  @Nullable VolumeRecord remove(UUID id) {
    VolumeRecord old = records.remove(id);
    if (old != null) {
      remove(byLayer, old.layer(), id);
      old.parent().ifPresent(parent -> remove(byParent, parent, id));
    }
    return old;
  }

  private static void remove(Map<UUID, Set<UUID>> index, UUID key, UUID volume) {
    Set<UUID> volumes = index.get(key);
    if (volumes != null) {
      volumes.remove(volume);
      if (volumes.isEmpty()) {
        index.remove(key);
      }
    }
  }

  @Nullable VolumeRecord get(UUID id) {
    return records.get(id);
  }

  List<VolumeRecord> all() {
    return List.copyOf(records.values());
  }

  /** Volumes whose topmost layer it is. */
  Set<UUID> on(UUID layer) {
    return byLayer.getOrDefault(layer, Set.of());
  }

  /** The disk that writes to the layer, if one does. */
  Optional<UUID> writingTo(UUID layer) {
    for (UUID id : on(layer)) {
      VolumeRecord volume = records.get(id);
      if (volume != null && !volume.sealed()) {
        return Optional.of(id);
      }
    }
    return Optional.empty();
  }

  /** Volumes that name it as their parent. */
  List<UUID> clonedFrom(UUID parent) {
    return List.copyOf(byParent.getOrDefault(parent, Set.of()));
  }
}
