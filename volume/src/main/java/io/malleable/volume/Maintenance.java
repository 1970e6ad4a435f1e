package io.malleable.volume;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What a store does when it has time: files that nobody needs are deleted; layers that deleted
 * snapshots left between two others are merged into the one above, or lose what that one hides;
 * frozen layers get compact maps and checksums; deep chains get packs. One thread at a time; every
 * step can be ended and begun again, or cut off by a crash.
 */
final class Maintenance {
  private static final Logger LOG = System.getLogger(Maintenance.class.getName());

  /** A layer is copied upwards when that is little, or not much more than it is copied onto. */
  private static final long SMALL_BLOCKS = 1 << 14;

  private static final int WORTHWHILE_FACTOR = 2;

  private final LocalVolumeStore store;
  private final StoreFiles files;
  private final SpaceGuard space;
  private final BooleanSupplier closing;

  /** Done, or tried in vain; tried again when something was deleted. */
  private final Set<LayerTable.Orphan> seen = new HashSet<>();

  /** Ended because somebody wanted the disk. */
  private final Set<LayerTable.Orphan> unfinished = new HashSet<>();

  /**
   * Upper layers of merges that were begun and not ended: their maps in memory may say more than is
   * durable.
   */
  private final Set<UUID> halfDone = new HashSet<>();

  private final AtomicBoolean again = new AtomicBoolean();

  private final Set<UUID> failedSums = new HashSet<>();

  private final Packing packing;

  Maintenance(
      LocalVolumeStore store,
      StoreFiles files,
      SpaceGuard space,
      Packing packing,
      BooleanSupplier closing) {
    this.packing = packing;
    this.store = store;
    this.files = files;
    this.space = space;
    this.closing = closing;
  }

  /** Does everything there is to do now. */
  synchronized void runAll() throws IOException {
    if (again.getAndSet(false)) {
      seen.clear();
      packing.tryAgain();
    }
    seen.removeAll(unfinished);
    unfinished.clear();
    compactMaps();
    packing.begin();
    while (!closing.getAsBoolean()
        && (deleteOne() || mergeOne() || packing.packOne() || sumOne())) {
      // Each step says whether there was anything to do.
    }
  }

  /** Those of layers that snapshots froze since; others are opened compact. */
  private void compactMaps() throws IOException {
    Set<Layer> frozen = new LinkedHashSet<>();
    store.withCatalogue(catalogue -> {
      store.frozenViews().forEach(view -> frozen.addAll(view.layers()));
      return null;
    });
    for (Layer layer : frozen) {
      layer.map.compact();
    }
  }

  private boolean deleteOne() throws IOException {
    String name = store.withCatalogue(Catalogue::takeGarbage);
    if (name == null) {
      return false;
    }
    deleteFile(name);
    return true;
  }

  /** What is left over is removed after the next start. */
  void deleteFile(String name) {
    try {
      files.delete(name);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot delete " + name + ", which nobody needs any more", e);
    }
  }

  /** The two layers, held open, and who writes to the upper one. */
  private record Merge(
      LayerTable.Orphan orphan,
      Layer above,
      Layer below,
      LayerWriter writer,
      @Nullable ActiveVolume disk) {}

  /** Something was deleted, which may make worthwhile what was not. Called by any thread. */
  void tryAgain() {
    again.set(true);
  }

  private boolean mergeOne() throws IOException {
    Merge merge = store.withCatalogue(this::beginMerge);
    if (merge == null) {
      return false;
    }
    try {
      if (halfDone.contains(merge.above.id) || worthAbsorbing(merge.below, merge.above)) {
        absorb(merge);
      } else {
        forgetHidden(merge);
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot merge layer " + merge.orphan.id() + "; it stays for now", e);
    } finally {
      store.withCatalogue(catalogue -> release(catalogue, merge));
    }
    return true;
  }

  private void absorb(Merge merge) throws IOException {
    if (!store.withCatalogue(catalogue -> prepareToChange(catalogue, merge, merge.above))) {
      return;
    }
    halfDone.add(merge.above.id);
    if (merge.writer.absorb(merge.below, () -> endWanted(merge))) {
      store.withCatalogue(catalogue -> finishMerge(catalogue, merge));
      halfDone.remove(merge.above.id);
    } else {
      unfinished.add(merge.orphan);
    }
  }

  private void forgetHidden(Merge merge) throws IOException {
    LayerWriter lower = new LayerWriter(merge.below, files, space);
    RunList hidden = lower.hiddenBy(merge.above);
    if (hidden.size() == 0) {
      return;
    }
    // After the scan: what the guest writes meanwhile is not durable, and keeps its old copy.
    merge.writer.flush();
    if (store.withCatalogue(catalogue -> prepareToChange(catalogue, merge, merge.below))) {
      lower.forget(hidden);
    }
  }

  /**
   * Nothing that was derived from the layer outlives this, and no read is under way that chose the
   * lower one before the upper one had the block.
   *
   * @return whether there is something to change; not if the upper layer has gone, or its disk was
   *     flattened
   */
  private boolean prepareToChange(Catalogue catalogue, Merge merge, Layer changed)
      throws IOException {
    LayerTable layers = catalogue.layers();
    if (!layers.isOrphan(merge.orphan)) {
      return false;
    }
    // Blocks may wander from the floor of a pack to the layer above it, which the pack has not.
    store.withdraw(layers.packs().onFloor(merge.below.id));
    layers.sums().remove(changed);
    layers.forgetViewsOver(merge.below);
    store.rebaseAll(merge.below);
    return true;
  }

  private @Nullable Merge beginMerge(Catalogue catalogue) throws IOException {
    LayerTable layers = catalogue.layers();
    for (LayerTable.Orphan orphan : layers.orphans()) {
      Optional<UUID> disk = catalogue.diskOn(orphan.above());
      // What was frozen in memory only may still have a writer that is not done with it.
      boolean settled = disk.isPresent() || catalogue.frozenOnDisk(orphan.above());
      if (!settled || !seen.add(orphan)) {
        continue;
      }
      try {
        return beginMerge(catalogue, orphan, disk);
      } catch (IOException e) {
        LOG.log(Level.WARNING, "cannot merge layer " + orphan.id() + "; it stays for now", e);
      }
    }
    return null;
  }

  private Merge beginMerge(Catalogue catalogue, LayerTable.Orphan orphan, Optional<UUID> disk)
      throws IOException {
    LayerTable layers = catalogue.layers();
    ActiveVolume active = disk.isPresent() ? store.activateForMaintenance(disk.get()) : null;
    Layer above = active == null ? layers.acquire(orphan.above()) : active.nearest();
    Layer below = above.parent();
    try {
      if (below == null) {
        throw new IllegalStateException("layer " + orphan.above() + " has lost its parent");
      }
      layers.acquire(below.id);
      LayerWriter writer = active == null ? new LayerWriter(above, files, space) : active.writer();
      return new Merge(orphan, above, below, writer, active);
    } catch (IOException | RuntimeException e) {
      releaseHold(catalogue, above, active);
      throw e;
    }
  }

  private boolean endWanted(Merge merge) {
    return closing.getAsBoolean() || (merge.disk != null && merge.disk.wantedByOthers());
  }

  private static boolean worthAbsorbing(Layer below, Layer above) {
    long moved = below.map.dataBlocks();
    return moved <= SMALL_BLOCKS || moved <= WORTHWHILE_FACTOR * above.map.dataBlocks();
  }

  private @Nullable Void finishMerge(Catalogue catalogue, Merge merge) throws IOException {
    LayerTable layers = catalogue.layers();
    // Meanwhile the upper layer may have been deleted, or its disk flattened.
    if (layers.isOrphan(merge.orphan)) {
      Optional<UUID> below = layers.below(merge.orphan.id());
      try {
        merge.writer.rewriteMap(below);
      } catch (IOException e) {
        // Its map may name either of them on disk now: both stay until the next start.
        if (below.isPresent()) {
          layers.addVolume(below.get());
        }
        throw e;
      }
      Layer bypassed = layers.bypass(merge.above);
      store.rebaseAll(bypassed);
      catalogue.deleteLater(layers.release(bypassed));
    }
    return null;
  }

  private @Nullable Void release(Catalogue catalogue, Merge merge) throws IOException {
    try {
      releaseHold(catalogue, merge.above, merge.disk);
    } finally {
      catalogue.deleteLater(catalogue.layers().release(merge.below));
    }
    return null;
  }

  private void releaseHold(Catalogue catalogue, Layer above, @Nullable ActiveVolume active)
      throws IOException {
    if (active == null) {
      catalogue.deleteLater(catalogue.layers().release(above));
    } else {
      store.deactivateForMaintenance(active);
    }
  }

  private boolean sumOne() throws IOException {
    Layer layer = store.withCatalogue(this::beginSum);
    if (layer == null) {
      return false;
    }
    boolean done = false;
    try {
      done = LayerSums.create(files, layer, closing);
    } catch (IOException e) {
      failedSums.add(layer.id);
      LOG.log(Level.WARNING, "cannot compute checksums of layer " + layer.id, e);
    }
    boolean published = done;
    store.withCatalogue(catalogue -> {
      if (published) {
        catalogue.layers().addSums(layer.id);
      }
      catalogue.deleteLater(catalogue.layers().release(layer));
      return null;
    });
    return true;
  }

  private @Nullable Layer beginSum(Catalogue catalogue) throws IOException {
    LayerTable layers = catalogue.layers();
    Set<UUID> merging = new HashSet<>();
    for (LayerTable.Orphan orphan : layers.orphans()) {
      merging.add(orphan.id());
    }
    for (UUID id : catalogue.frozenLayers()) {
      if (!layers.sums().has(id) && !merging.contains(id) && !failedSums.contains(id)) {
        try {
          return layers.acquire(id);
        } catch (IOException e) {
          failedSums.add(id);
          LOG.log(Level.ERROR, "layer " + id + " cannot be used", e);
        }
      }
    }
    return null;
  }
}
