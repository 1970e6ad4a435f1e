package io.malleable.volume.local;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a layer without opening it: what it stands on, and how many stand on it, which
 * {@link LayerTable} changes; and who uses it, which {@link OpenLayers} does. Guarded by the
 * catalogue's lock.
 */
final class LayerNode {
  final UUID id;
  @Nullable LayerNode below;

  /** What it should stand on, when that is not there. */
  @Nullable UUID missing;

  // Those who stand on it, on disk.
  int volumes;
  final Set<LayerNode> above = new HashSet<>();

  /** Nobody stands on it any more: its files go when the last user is gone. */
  boolean unneeded;

  // In memory.

  /** Null when nobody has it open, and until it is open. */
  @Nullable Layer open;

  /** Somebody reads its files, to open it. */
  boolean opening;

  /** Those who use it, or wait for it to be open; all layers above that are used count as one. */
  int users;

  LayerNode(UUID id) {
    this.id = id;
  }

  /** Whether nobody stands on it but one other layer. */
  boolean onlyCarriesOne() {
    return volumes == 0 && above.size() == 1;
  }

  /** This layer and all that stand on it, directly or not; one chain after the other, upwards. */
  List<LayerNode> andAllAbove() {
    List<LayerNode> found = new ArrayList<>();
    Deque<LayerNode> next = new ArrayDeque<>(List.of(this));
    while (!next.isEmpty()) {
      LayerNode node = next.pop();
      found.add(node);
      node.above.forEach(next::push);
    }
    return found;
  }

  /** The lowest layer of the chain that is not open; null when all are. */
  @Nullable LayerNode lowestClosed() {
    LayerNode lowest = null;
    for (LayerNode node = this; node != null && node.open == null; node = node.below) {
      lowest = node;
    }
    return lowest;
  }

  /** The lowest layer of the chain. */
  LayerNode ground() {
    LayerNode lowest = this;
    for (LayerNode node = below; node != null; node = node.below) {
      lowest = node;
    }
    return lowest;
  }
}
