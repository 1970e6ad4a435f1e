package io.malleable.volume;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a layer without opening it: what it stands on, and how many stand on it. {@link
 * LayerTable} changes it. Guarded by the catalogue's lock.
 */
final class LayerNode {
  final UUID id;
  @Nullable LayerNode below;
  // Those who stand on it, on disk.
  int volumes;
  int children;
  // In memory: null when nobody has it open.
  @Nullable Layer open;
  int users;

  LayerNode(UUID id) {
    this.id = id;
  }

  /** Whether nobody stands on it but one other layer. */
  boolean onlyCarriesOne() {
    return volumes == 0 && children == 1;
  }

  /** This layer and all below it, nearest first. */
  List<UUID> chain() {
    List<UUID> found = new ArrayList<>();
    for (LayerNode node = this; node != null; node = node.below) {
      found.add(node.id);
    }
    return found;
  }

  /** This layer and those below it, down to the first on which somebody else stands. */
  List<UUID> exclusive() {
    List<UUID> found = new ArrayList<>(List.of(id));
    for (LayerNode node = below; node != null && node.onlyCarriesOne(); node = node.below) {
      found.add(node.id);
    }
    return found;
  }
}
