package io.malleable.volume.local;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Which layers are open, for how many users, and with what beside them. Guarded by the catalogue's
 * lock.
 *
 * <p>Whoever needs a layer open pins it first, and all below it with it: from then on nobody closes
 * one of them, deletes its files, or takes it out of the chain before it is open. They are opened
 * without the lock, from the ground up, each by one thread: see {@link GuardedCatalogue#open}.
 */
final class OpenLayers {
  private final StoreFiles files;
  private final MapMemory memory;
  private final Garbage garbage;
  private final PackTable packs;
  private final SumsTable sums;

  /** Those that have users, whether or not they are open. */
  private final Map<UUID, LayerNode> used = new HashMap<>();

  /** Closed after a sync had failed: what is read of their files need not be on disk. */
  private final Map<UUID, IOException> suspect = new HashMap<>();

  OpenLayers(StoreFiles files, MapMemory memory) {
    this.files = files;
    this.memory = memory;
    this.garbage = new Garbage(files);
    this.packs = new PackTable(files, garbage);
    this.sums = new SumsTable(files, garbage);
  }

  PackTable packs() {
    return packs;
  }

  SumsTable sums() {
    return sums;
  }

  Garbage garbage() {
    return garbage;
  }

  /** What the maps of these take. */
  MapMemory memory() {
    return memory;
  }

  /**
   * One user more, of the layer and so of all below it, who opens them if need be, and calls {@link
   * #unpin} in the end.
   */
  void pin(LayerNode top) {
    LayerNode node = top;
    while (node != null && node.users++ == 0) {
      used.put(node.id, node);
      node = node.below;
    }
  }

  /** One user more of a layer that is open. */
  Layer pinOpen(Layer layer) {
    nodeOf(layer).users++;
    return layer;
  }

  /** The lowest layer of the pinned chain is opened by the caller, without the lock. */
  LayerOpening beginOpening(LayerNode node) {
    LayerNode below = node.below;
    boolean belowIsOpen = below == null || below.open != null;
    if (node.users == 0 || node.open != null || node.opening || !belowIsOpen) {
      throw new IllegalStateException("layer " + node.id + " cannot be opened now");
    }
    node.opening = true;
    return new LayerOpening(
        node, below == null ? null : below.open, sums.has(node.id), packs.usable(node.id));
  }

  /**
   * A layer that was just created and pinned, on one that is open: nothing that takes time is read.
   * When this fails, it is no longer pinned.
   */
  Layer openEmpty(LayerNode node) throws IOException {
    LayerOpening opening = beginOpening(node);
    LayerOpening.Opened read;
    try {
      read = opening.read(files, memory);
    } catch (IOException e) {
      StoreLayout.closeQuietly(() -> unpin(node), e);
      throw e;
    } finally {
      node.opening = false;
    }
    opened(node, read);
    return read.layer();
  }

  /** It is open. */
  void opened(LayerNode node, LayerOpening.Opened opened) {
    Layer layer = opened.layer();
    IOException failure = suspect.remove(node.id);
    if (failure != null) {
      layer.fail(failure);
    }
    sums.opened(layer, opened.sums());
    packs.opened(layer, opened.pack());
    node.open = layer;
  }

  /** One user less of an open layer; closes what nobody uses. */
  void release(Layer layer) throws IOException {
    unpin(nodeOf(layer));
  }

  /** One user less; closes what nobody uses. */
  void unpin(LayerNode pinned) throws IOException {
    IOException failure = null;
    LayerNode node = pinned;
    while (node != null && --node.users == 0) {
      try {
        close(node);
      } catch (IOException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
      used.remove(node.id);
      if (node.unneeded) {
        garbage.add(filesOf(node.id));
      }
      node = node.below;
    }
    if (failure != null) {
      throw failure;
    }
  }

  private void close(LayerNode node) throws IOException {
    Layer layer = node.open;
    node.open = null;
    if (layer != null) {
      Layer.Failure failure = layer.failure();
      if (failure != null) {
        suspect.put(layer.id, failure.cause());
      }
      layer.close();
    }
  }

  /** Of an open layer. */
  LayerNode nodeOf(Layer layer) {
    LayerNode node = used.get(layer.id);
    if (node == null || node.open != layer) {
      throw new IllegalStateException("layer " + layer.id + " is not open");
    }
    return node;
  }

  /** The layer if somebody has it open. */
  @Nullable Layer opened(UUID id) {
    LayerNode node = used.get(id);
    return node == null ? null : node.open;
  }

  /** Those in use whose storage failed. */
  List<Layer> failed() {
    List<Layer> found = new ArrayList<>();
    for (LayerNode node : used.values()) {
      if (node.open != null && node.open.failure() != null) {
        found.add(node.open);
      }
    }
    return found;
  }

  /**
   * Nobody stands on the layer any more.
   *
   * @return its files, if they can be deleted now; otherwise they go with its last user
   */
  List<String> filesOfUnneeded(LayerNode node) {
    sums.forget(node.id);
    if (node.users > 0) {
      node.unneeded = true;
      return List.of();
    }
    return filesOf(node.id);
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

  /** Views made from now on know what the layer says now. */
  void forgetViewsOver(Layer layer) {
    for (LayerNode node : nodeOf(layer).andAllAbove()) {
      if (node.open != null) {
        node.open.forgetView();
      }
    }
  }

  /** The checksums of an open layer were just published. */
  void publishSums(Layer layer, LayerOpening.Extra<LayerSums> read) {
    sums.add(layer.id);
    sums.opened(layer, read);
  }

  /** The pack of an open layer was just published. */
  void publishPack(Layer layer, LayerOpening.Extra<Pack> read) {
    packs.opened(layer, read);
    forgetViewsOver(layer);
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
}
