package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Which layers there are, and who stands on them; also on disk. Guarded by the catalogue's lock.
 */
final class LayerTable {
  private final StoreFiles files;
  private final OpenLayers open;
  private final Map<UUID, LayerNode> nodes = new HashMap<>();

  /** On which nobody stands but one other layer. */
  private final Set<LayerNode> orphans = new LinkedHashSet<>();

  /** Whose maps are to be upgraded once they are frozen; those of disks are by the first flush. */
  private final Set<UUID> outdated = new HashSet<>();

  /** Those whose maps cannot be read, and why. */
  private final Map<UUID, VolumeException> unreadable = new HashMap<>();

  LayerTable(StoreFiles files, OpenLayers open) {
    this.files = files;
    this.open = open;
  }

  /** At start: the layers found on disk. */
  void load(Map<UUID, Optional<UUID>> parents, Map<UUID, VolumeException> damaged) {
    unreadable.putAll(damaged);
    for (UUID id : parents.keySet()) {
      nodes.put(id, new LayerNode(id));
    }
    for (LayerNode node : nodes.values()) {
      UUID parent = parents.getOrDefault(node.id, Optional.empty()).orElse(null);
      LayerNode below = parent == null ? null : nodes.get(parent);
      if (below != null) {
        put(node, below);
      } else {
        // One that is missing is told when a volume needs it.
        node.missing = parent;
      }
    }
  }

  /**
   * As long as something is damaged, what stands on nothing that is known may be what a damaged
   * file names: it is neither deleted nor merged until the next start.
   *
   * @param allMaps whether all maps could be read; otherwise not even what others stand on is known
   */
  void keep(boolean allMaps) {
    for (LayerNode node : nodes.values()) {
      if (!allMaps || node.volumes == 0) {
        node.volumes++;
        noteOrphan(node);
      }
    }
  }

  // Who stands on what.

  private void put(LayerNode node, @Nullable LayerNode below) {
    node.below = below;
    if (below != null) {
      below.above.add(node);
      noteOrphan(below);
    }
  }

  private void noteOrphan(LayerNode node) {
    if (node.onlyCarriesOne()) {
      orphans.add(node);
    } else {
      orphans.remove(node);
    }
  }

  /** What the layer stands on; empty also when there is no such layer. */
  Optional<UUID> parentOf(UUID id) {
    return Optional.ofNullable(nodes.get(id)).map(node -> node.below).map(node -> node.id);
  }

  boolean exists(UUID id) {
    return nodes.containsKey(id);
  }

  List<UUID> all() {
    return List.copyOf(nodes.keySet());
  }

  Collection<LayerNode> nodes() {
    return nodes.values();
  }

  /** One chain after the other, each from the ground up. */
  List<UUID> allInChains() {
    List<UUID> found = new ArrayList<>();
    for (LayerNode node : nodes.values()) {
      if (node.below == null) {
        node.andAllAbove().forEach(above -> found.add(above.id));
      }
    }
    return found;
  }

  /** Null when there is no such layer. */
  @Nullable LayerNode node(UUID id) {
    return nodes.get(id);
  }

  /** The layer and those that stand on it, directly or not. */
  List<UUID> andAllAbove(UUID id) {
    LayerNode node = nodes.get(id);
    return node == null ? List.of() : node.andAllAbove().stream().map(above -> above.id).toList();
  }

  private LayerNode nodeOf(UUID id) throws VolumeException {
    LayerNode node = nodes.get(id);
    if (node == null) {
      throw absence(id);
    }
    return node;
  }

  /** Why there is no such layer. */
  VolumeException absence(UUID id) {
    VolumeException damage = unreadable.get(id);
    return damage == null
        ? new VolumeException(Reason.CORRUPT, "layer " + id + " is missing")
        : new VolumeException(
            damage.reason(),
            "layer %s cannot be used: %s".formatted(id, damage.getMessage()),
            damage);
  }

  /** Of the layer with all that it stands on; each layer is looked at once for all calls. */
  boolean isWhole(UUID id, Set<LayerNode> whole) {
    LayerNode node = nodes.get(id);
    List<LayerNode> chain = new ArrayList<>();
    while (node != null && !whole.contains(node)) {
      if (node.missing != null) {
        return false;
      }
      chain.add(node);
      node = node.below;
    }
    whole.addAll(chain);
    return nodes.containsKey(id);
  }

  /** What the layer stands on is all there; one whose parent is missing must not pass for whole. */
  void requireWhole(UUID id) throws VolumeException {
    LayerNode ground = nodeOf(id).ground();
    if (ground.missing != null) {
      VolumeException absence = absence(ground.missing);
      throw new VolumeException(
          absence.reason(),
          "layer %s stands on another: %s".formatted(ground.id, absence.getMessage()),
          absence);
    }
  }

  /** An empty layer, durable when this returns. Nobody stands on it yet. */
  void create(UUID id, Optional<UUID> parent) throws IOException {
    LayerNode below = parent.isPresent() ? nodeOf(parent.get()) : null;
    try {
      files.create(StoreLayout.data(id)).close();
      // Under its own name at once, which spares a journal commit of the file system: should a
      // crash leave it half written, no volume names it yet, and the next start removes it.
      MapLog.write(files, id, parent, new BlockMap());
      files.syncDirectory(StoreLayout.LAYERS);
    } catch (IOException e) {
      StoreLayout.deleteQuietly(files, StoreLayout.map(id), e);
      StoreLayout.deleteQuietly(files, StoreLayout.data(id), e);
      throw e;
    }
    LayerNode node = new LayerNode(id);
    nodes.put(id, node);
    put(node, below);
  }

  /** A volume stands on the layer from now on. */
  void addVolume(UUID id) throws VolumeException {
    LayerNode node = nodeOf(id);
    node.volumes++;
    noteOrphan(node);
  }

  /**
   * A volume no longer stands on the layer.
   *
   * @return names of the files that nobody needs any more, for the caller to delete
   */
  List<String> removeVolume(UUID id) {
    LayerNode node = nodes.get(id);
    if (node == null) {
      // A volume whose layer is damaged can be deleted like any other.
      return List.of();
    }
    node.volumes--;
    noteOrphan(node);
    return collect(id);
  }

  /** Forgets the layer and those below it, as far as nobody stands on them. */
  List<String> collect(UUID id) {
    List<String> unneeded = new ArrayList<>();
    LayerNode node = nodes.get(id);
    while (node != null && node.volumes == 0 && node.above.isEmpty()) {
      nodes.remove(node.id);
      unneeded.addAll(open.filesOfUnneeded(node));
      LayerNode below = node.below;
      if (below != null) {
        below.above.remove(node);
        noteOrphan(below);
      }
      node = below;
    }
    return unneeded;
  }

  List<String> collectAll() {
    List<String> unneeded = new ArrayList<>();
    for (UUID id : all()) {
      unneeded.addAll(collect(id));
    }
    return unneeded;
  }

  /** A layer on which nobody stands but one other. */
  record Orphan(UUID id, UUID above) {}

  List<Orphan> orphans() {
    List<Orphan> found = new ArrayList<>();
    for (LayerNode node : orphans) {
      found.add(new Orphan(node.id, node.above.iterator().next().id));
    }
    return found;
  }

  boolean isOrphan(UUID id) {
    LayerNode node = nodes.get(id);
    return node != null && node.onlyCarriesOne();
  }

  boolean isOrphan(Orphan orphan) {
    LayerNode above = nodes.get(orphan.above);
    LayerNode below = above == null ? null : above.below;
    return below != null && below.id.equals(orphan.id) && below.onlyCarriesOne();
  }

  /** See {@link OpenLayers#pin}. */
  LayerNode pin(UUID id) throws VolumeException {
    requireWhole(id);
    LayerNode top = nodeOf(id);
    open.pin(top);
    return top;
  }

  /** Whose maps are of an earlier version: each is taken out once it was tried. */
  Set<UUID> outdated() {
    return outdated;
  }

  /**
   * The open layer, which says so on disk already, stands on what the orphan below it stood on.
   *
   * @return the orphan, which the caller releases when nobody reads from it any more
   */
  Layer bypass(Layer above) throws IOException {
    LayerNode node = open.nodeOf(above);
    LayerNode orphan = node.below;
    Layer orphanLayer = above.parent();
    if (orphan == null || orphanLayer == null) {
      throw new IllegalStateException("layer " + above.id + " stands on nothing");
    }
    LayerNode below = orphan.below;
    move(node, below);
    above.reparent(orphanLayer.parent());
    open.forgetViewsOver(above);
    return orphanLayer;
  }

  /**
   * The open layer, whose map on disk says so already, stands on nothing any more.
   *
   * @return what it stood on, if anything, which the caller releases when nobody reads from it any
   *     more
   */
  @Nullable Layer putOnGround(Layer layer) {
    LayerNode node = open.nodeOf(layer);
    Layer oldParent = layer.parent();
    if (node.below != null) {
      move(node, null);
      layer.reparent(null);
    }
    return oldParent;
  }

  /** What it stood on is still in use by whoever reads through it. */
  private void move(LayerNode node, @Nullable LayerNode below) {
    LayerNode before = node.below;
    put(node, below);
    if (below != null) {
      open.pin(below);
    }
    if (before != null) {
      before.above.remove(node);
      noteOrphan(before);
      collect(before.id);
    }
  }
}
