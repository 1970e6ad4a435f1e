package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Which layers there are, who stands on them, and which are open. Guarded by the catalogue's lock.
 */
final class LayerTable {
  private final StoreFiles files;
  private final MapMemory memory;
  private final PackTable packs;
  private final SumsTable sums;
  private final Map<UUID, LayerNode> nodes = new HashMap<>();

  /** Nobody stands on these any more; their files go when the last user is gone. */
  private final Map<UUID, LayerNode> doomed = new HashMap<>();

  /** Closed after a sync had failed: what is read of their files need not be on disk. */
  private final Map<UUID, IOException> suspect = new HashMap<>();

  /** Whose maps are to be upgraded once they are frozen; those of disks are by the first flush. */
  private final Set<UUID> outdated = new HashSet<>();

  /** Those whose maps cannot be read, and why. */
  private final Map<UUID, VolumeException> unreadable = new HashMap<>();

  LayerTable(StoreFiles files, MapMemory memory) {
    this.files = files;
    this.memory = memory;
    this.packs = new PackTable(files);
    this.sums = new SumsTable(files);
  }

  PackTable packs() {
    return packs;
  }

  /** At start: the layers found on disk. */
  void load(Map<UUID, Optional<UUID>> parents, Map<UUID, VolumeException> damaged) {
    unreadable.putAll(damaged);
    for (UUID id : parents.keySet()) {
      nodes.put(id, new LayerNode(id));
    }
    parents.forEach((id, parent) -> {
      LayerNode node = nodes.get(id);
      // One that is missing is told when a volume needs it.
      LayerNode below = parent.map(nodes::get).orElse(null);
      if (node != null && below != null) {
        node.below = below;
        below.children++;
      }
    });
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
      }
    }
  }

  /** What the layer stands on; empty also when there is no such layer. */
  Optional<UUID> parentOf(UUID id) {
    return Optional.ofNullable(nodes.get(id)).map(node -> node.below).map(node -> node.id);
  }

  boolean exists(UUID id) {
    return nodes.containsKey(id);
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

  /** An empty layer, durable when this returns. Nobody stands on it yet. */
  void create(UUID id, Optional<UUID> parent) throws IOException {
    LayerNode node = new LayerNode(id);
    if (parent.isPresent()) {
      node.below = nodeOf(parent.get());
    }
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
    if (node.below != null) {
      node.below.children++;
    }
    nodes.put(id, node);
  }

  /** A volume stands on the layer from now on. */
  void addVolume(UUID id) throws VolumeException {
    nodeOf(id).volumes++;
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
    return collect(id);
  }

  /** Forgets the layer and those below it, as far as nobody stands on them. */
  List<String> collect(UUID id) {
    List<String> garbage = new ArrayList<>();
    LayerNode node = nodes.get(id);
    while (node != null && node.volumes == 0 && node.children == 0) {
      nodes.remove(node.id);
      sums.forget(node.id);
      if (node.users > 0) {
        doomed.put(node.id, node);
      } else {
        garbage.addAll(filesOf(node.id));
      }
      node = node.below;
      if (node != null) {
        node.children--;
      }
    }
    return garbage;
  }

  private List<String> filesOf(UUID id) {
    List<String> names = new ArrayList<>();
    suspect.remove(id);
    if (packs.has(id)) {
      names.add(StoreLayout.pack(id));
      packs.forget(id);
    }
    names.addAll(
        List.of(
            StoreLayout.sums(id),
            StoreLayout.live(id),
            StoreLayout.tail(id),
            StoreLayout.map(id),
            StoreLayout.data(id)));
    return names;
  }

  List<String> collectAll() {
    List<String> garbage = new ArrayList<>();
    for (UUID id : List.copyOf(nodes.keySet())) {
      garbage.addAll(collect(id));
    }
    return garbage;
  }

  /** Opens the layer and those below it, or counts one more user. */
  Layer acquire(UUID id) throws IOException {
    Deque<LayerNode> closed = new ArrayDeque<>();
    LayerNode node = nodeOf(id);
    while (node != null && node.open == null) {
      closed.push(node);
      node = node.below;
    }
    Layer below = node == null ? null : node.open;
    List<LayerNode> opened = new ArrayList<>();
    try {
      while (!closed.isEmpty()) {
        LayerNode next = closed.pop();
        if (next.below == null && below == null) {
          requireGround(next.id);
        }
        below = open(next, below);
        next.open = below;
        opened.add(next);
        if (next.below != null) {
          next.below.users++;
        }
      }
    } catch (IOException e) {
      for (LayerNode done : opened.reversed()) {
        try {
          closeNode(done);
        } catch (IOException closing) {
          e.addSuppressed(closing);
        }
      }
      throw e;
    }
    LayerNode top = nodeOf(id);
    top.users++;
    Layer layer = top.open;
    if (layer == null) {
      throw new IllegalStateException("layer " + id + " was just opened");
    }
    return layer;
  }

  /** What the layer stands on is all there. */
  void requireChain(UUID id) throws IOException {
    LayerNode lowest = nodeOf(id);
    for (LayerNode below = lowest.below; below != null; below = below.below) {
      lowest = below;
    }
    requireGround(lowest.id);
  }

  /** A layer whose parent is missing must not pass for one that has none. */
  private void requireGround(UUID id) throws IOException {
    Optional<UUID> parent = MapHeader.read(files, id).parent();
    if (parent.isPresent()) {
      VolumeException absence = absence(parent.get());
      throw new VolumeException(
          absence.reason(),
          "layer %s stands on another: %s".formatted(id, absence.getMessage()),
          absence);
    }
  }

  private Layer open(LayerNode node, @Nullable Layer below) throws IOException {
    Layer layer = LayerOpening.open(files, memory, node.id, below);
    IOException failure = suspect.remove(node.id);
    if (failure != null) {
      layer.fail(failure);
    }
    sums.open(layer);
    LayerOpening.requireSameBlocks(layer);
    layer.setPack(packs.open(node.id));
    return layer;
  }

  /** The pack of an open layer was just published. */
  void openPack(Layer layer) {
    layer.setPack(packs.open(layer.id));
    forgetViewsOver(layer);
  }

  /** Views made from now on know what the layer says now. */
  void forgetViewsOver(Layer layer) {
    for (LayerNode any : nodes.values()) {
      if (any.open != null) {
        any.open.forgetViewOver(layer);
      }
    }
  }

  /** The layer if somebody has it open. */
  @Nullable Layer opened(UUID id) {
    LayerNode node = nodes.getOrDefault(id, doomed.get(id));
    return node == null ? null : node.open;
  }

  /**
   * Views made from now on are without the pack, and so is the disk once the directory is synced.
   */
  void removePack(UUID id) throws IOException {
    packs.delete(id);
    Layer layer = opened(id);
    if (layer != null) {
      layer.setPack(null);
      forgetViewsOver(layer);
    }
  }

  SumsTable sums() {
    return sums;
  }

  /** At start, or when they were just published. */
  void addSums(UUID id) {
    LayerNode node = nodes.get(id);
    if (node != null) {
      sums.add(id);
      if (node.open != null) {
        sums.open(node.open);
      }
    }
  }

  /** A layer on which nobody stands but one other. */
  record Orphan(UUID id, UUID above) {}

  List<Orphan> orphans() {
    List<Orphan> found = new ArrayList<>();
    for (LayerNode above : nodes.values()) {
      LayerNode below = above.below;
      if (below != null && below.onlyCarriesOne()) {
        found.add(new Orphan(below.id, above.id));
      }
    }
    return found;
  }

  boolean isOrphan(Orphan orphan) {
    LayerNode above = nodes.get(orphan.above);
    LayerNode below = above == null ? null : above.below;
    return below != null && below.id.equals(orphan.id) && below.onlyCarriesOne();
  }

  Optional<UUID> below(UUID id) throws VolumeException {
    return Optional.ofNullable(nodeOf(id).below).map(node -> node.id);
  }

  /**
   * The open layer, which says so on disk already, stands on what the orphan below it stood on.
   *
   * @return the orphan, which the caller releases when nobody reads from it any more
   */
  Layer bypass(Layer above) throws IOException {
    LayerNode node = nodeInUse(above);
    LayerNode orphan = node.below;
    Layer orphanLayer = above.parent();
    if (orphan == null || orphanLayer == null) {
      throw new IllegalStateException("layer " + above.id + " stands on nothing");
    }
    LayerNode below = orphan.below;
    node.below = below;
    if (below != null) {
      below.children++;
      below.users++;
    }
    above.reparent(orphanLayer.parent());
    orphan.children--;
    // In use by whoever reads through it, so this only marks it.
    collect(orphan.id);
    for (LayerNode any : nodes.values()) {
      if (any.open != null) {
        any.open.forgetView();
      }
    }
    return orphanLayer;
  }

  private void closeNode(LayerNode node) throws IOException {
    Layer layer = node.open;
    node.open = null;
    if (node.below != null) {
      node.below.users--;
    }
    if (layer != null) {
      Layer.Failure failure = layer.failure();
      if (failure != null) {
        suspect.put(layer.id, failure.cause());
      }
      layer.close();
    }
  }

  /**
   * One user less; closes what nobody uses.
   *
   * @param deleteLater takes the files to delete, if there are any, also when one cannot be closed
   */
  void release(Layer layer, Consumer<List<String>> deleteLater) throws IOException {
    List<String> garbage = new ArrayList<>();
    LayerNode node = nodeInUse(layer);
    node.users--;
    IOException failure = null;
    while (node != null && node.users == 0 && node.open != null) {
      try {
        closeNode(node);
      } catch (IOException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
      if (doomed.remove(node.id) != null) {
        garbage.addAll(filesOf(node.id));
      }
      node = node.below;
    }
    if (!garbage.isEmpty()) {
      deleteLater.accept(garbage);
    }
    if (failure != null) {
      throw failure;
    }
  }

  List<UUID> all() {
    return List.copyOf(nodes.keySet());
  }

  /** Whose maps are of an earlier version: each is taken out once it was tried. */
  Set<UUID> outdated() {
    return outdated;
  }

  /** Those in use whose storage failed. */
  List<Layer> failed() {
    List<Layer> found = new ArrayList<>();
    for (LayerNode node : nodes.values()) {
      if (node.open != null && node.open.failure() != null) {
        found.add(node.open);
      }
    }
    return found;
  }

  boolean standsOn(UUID upper, UUID lower) {
    LayerNode node = nodes.get(upper);
    return node != null && node.chain().contains(lower);
  }

  /** The layer and those below it, down to, but without, the floor if that is one of them. */
  List<UUID> above(Optional<UUID> floor, UUID id) {
    LayerNode node = nodes.get(id);
    List<UUID> chain = node == null ? List.of() : node.chain();
    int end = floor.isPresent() ? chain.indexOf(floor.get()) : -1;
    return end < 0 ? chain : chain.subList(0, end);
  }

  /** The layer and those below it, down to the first on which somebody else stands. */
  List<UUID> exclusiveTo(UUID id) {
    LayerNode node = nodes.get(id);
    return node == null ? List.of() : node.exclusive();
  }

  /**
   * The open layer, whose map on disk says so already, stands on nothing any more.
   *
   * @return what it stood on, if anything, which the caller releases when nobody reads from it any
   *     more
   */
  @Nullable Layer putOnGround(Layer layer) {
    LayerNode node = nodeInUse(layer);
    LayerNode below = node.below;
    if (below == null) {
      return null;
    }
    node.below = null;
    below.children--;
    Layer oldParent = layer.parent();
    layer.reparent(null);
    // In use by whoever reads through it, so this only marks what is garbage.
    collect(below.id);
    return oldParent;
  }

  private LayerNode nodeInUse(Layer layer) {
    LayerNode node = nodes.getOrDefault(layer.id, doomed.get(layer.id));
    if (node == null || node.open != layer) {
      throw new IllegalStateException("layer " + layer.id + " is not open");
    }
    return node;
  }
}
