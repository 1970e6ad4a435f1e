package io.malleable.volume.local;

import io.malleable.volume.VolumeInfo;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How large volumes are: what their chains were at one moment, noted under the catalogue's lock, is
 * looked up without it. Each layer is looked up once, whatever the number of volumes.
 */
final class VolumeSizes {
  private final List<Volume> volumes = new ArrayList<>();
  private final Map<UUID, Step> steps = new HashMap<>();

  // What is known already.
  private final Map<UUID, Long> bytesOf = new HashMap<>();
  private final Map<UUID, Long> exclusiveSums = new HashMap<>();
  private final Map<Range, Long> sums = new HashMap<>();

  private record Volume(VolumeRecord record, @Nullable UUID floor) {}

  /**
   * A layer.
   *
   * @param onlyAbove whether nobody else stands on what it stands on
   */
  private record Step(@Nullable UUID below, boolean onlyAbove) {}

  /** A layer and all below it, down to, but without, the floor if that is one of them. */
  private record Range(UUID layer, @Nullable UUID floor) {}

  /** Under the lock: a layer that volumes stand on. */
  void addLayer(LayerNode node) {
    LayerNode below = node.below;
    steps.put(
        node.id,
        new Step(below == null ? null : below.id, below != null && below.onlyCarriesOne()));
  }

  /**
   * Under the lock: the layer and those below it, down to, but without, the floor if that is one of
   * them; or to one that was added before, which has to be by the same floor.
   */
  void addChain(@Nullable LayerNode top, Optional<UUID> floor) {
    UUID end = floor.orElse(null);
    LayerNode node = top;
    while (node != null && !node.id.equals(end) && !steps.containsKey(node.id)) {
      addLayer(node);
      node = node.below;
    }
  }

  /**
   * Under the lock: a volume that is to be looked up.
   *
   * @param floor the topmost layer of its parent
   */
  void addVolume(VolumeRecord volume, Optional<UUID> floor) {
    volumes.add(new Volume(volume, floor.orElse(null)));
  }

  /**
   * Without the lock, as this asks for files of every layer: of the volumes, as they were added.
   */
  List<VolumeInfo> look(StoreFiles files) throws IOException {
    for (UUID layer : steps.keySet()) {
      bytesOf.put(layer, StoreLayout.allocatedBytes(files, layer));
    }
    List<VolumeInfo> infos = new ArrayList<>();
    for (Volume volume : volumes) {
      VolumeRecord of = volume.record;
      infos.add(
          new VolumeInfo(
              of.id(),
              of.sealed(),
              of.sizeBytes(),
              exclusive(of.layer()),
              down(new Range(of.layer(), volume.floor)),
              of.parent()));
    }
    return infos;
  }

  /** Without the lock: of the only volume. */
  VolumeInfo ofOne(StoreFiles files) throws IOException {
    return look(files).getFirst();
  }

  /** Of the layer and those below it, down to the first on which somebody else stands. */
  private long exclusive(UUID top) {
    List<UUID> passed = new ArrayList<>();
    long sum = 0;
    UUID layer = top;
    while (layer != null) {
      Long known = exclusiveSums.get(layer);
      if (known != null) {
        sum = known;
        break;
      }
      passed.add(layer);
      Step step = steps.get(layer);
      layer = step != null && step.onlyAbove ? step.below : null;
    }
    for (UUID id : passed.reversed()) {
      sum += bytesOf.getOrDefault(id, 0L);
      exclusiveSums.put(id, sum);
    }
    return sum;
  }

  private long down(Range range) {
    List<Range> passed = new ArrayList<>();
    long sum = 0;
    Range next = range;
    while (next != null) {
      Long known = sums.get(next);
      if (known != null) {
        sum = known;
        break;
      }
      passed.add(next);
      Step step = steps.get(next.layer);
      UUID below = step == null ? null : step.below;
      next = below == null || below.equals(range.floor) ? null : new Range(below, range.floor);
    }
    for (Range part : passed.reversed()) {
      sum += bytesOf.getOrDefault(part.layer, 0L);
      sums.put(part, sum);
    }
    return sum;
  }
}
