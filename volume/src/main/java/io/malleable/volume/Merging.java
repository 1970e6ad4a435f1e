package io.malleable.volume;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Shortens chains: a layer that a deleted snapshot left between two others is merged into the one
 * above, or loses what that one hides. Part of {@link Maintenance}: called by one thread at a time.
 */
final class Merging {
  private static final Logger LOG = System.getLogger(Merging.class.getName());

  /** A layer is copied upwards when that is little, or not much more than it is copied onto. */
  private static final long SMALL_BLOCKS = 1 << 14;

  private static final int WORTHWHILE_FACTOR = 2;

  private final GuardedCatalogue guard;
  private final ActiveVolumes volumes;
  private final StoreFiles files;
  private final SpaceGuard space;
  private final BooleanSupplier closing;

  /** Done, or tried in vain; tried again when something was deleted. */
  private final Set<LayerTable.Orphan> seen = new HashSet<>();

  /** Ended because somebody wanted the disk, or took a snapshot of it: gone on with soon. */
  private final Set<LayerTable.Orphan> unfinished = new HashSet<>();

  Merging(
      GuardedCatalogue guard,
      ActiveVolumes volumes,
      StoreFiles files,
      SpaceGuard space,
      BooleanSupplier closing) {
    this.guard = guard;
    this.volumes = volumes;
    this.files = files;
    this.space = space;
    this.closing = closing;
  }

  /** The two layers, held open, and the disk that writes to the upper one, if one does. */
  private record Merge(
      LayerTable.Orphan orphan, Layer above, Layer below, @Nullable ActiveVolume disk) {}

  /** Something was deleted, which may make worthwhile what was not. */
  void tryAgain() {
    seen.clear();
  }

  /** Before the rest, at each run of the maintenance. */
  void begin() {
    seen.removeAll(unfinished);
    unfinished.clear();
  }

  /** Whether there was anything to do. */
  boolean mergeOne() throws IOException {
    Merge merge = guard.with(this::choose);
    if (merge == null) {
      return false;
    }
    try {
      if (merge.disk == null) {
        merge.above.settle();
      } else {
        merge.above.refuseAfterFailure();
      }
      merge.below.settle();
      LayerWriter writer = merge.disk == null ? writerTo(merge.above) : merge.disk.writer();
      if (worthAbsorbing(merge.below, merge.above)) {
        absorb(merge, writer);
      } else {
        forgetHidden(merge, writer);
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot merge layer " + merge.orphan.id() + "; it stays for now", e);
    } finally {
      guard.with(catalogue -> release(catalogue, merge));
    }
    return true;
  }

  private static boolean worthAbsorbing(Layer below, Layer above) {
    long moved = below.map.dataBlocks();
    return moved <= SMALL_BLOCKS || moved <= WORTHWHILE_FACTOR * above.map.dataBlocks();
  }

  // Choosing, and holding open.

  private @Nullable Merge choose(Catalogue catalogue) throws IOException {
    for (LayerTable.Orphan orphan : catalogue.layers().orphans()) {
      Optional<UUID> disk = catalogue.diskOn(orphan.above());
      // What was frozen in memory only may still have a writer that is not done with it.
      boolean settled = disk.isPresent() || catalogue.frozenOnDisk(orphan.above());
      if (!settled || !seen.add(orphan)) {
        continue;
      }
      try {
        return hold(catalogue, orphan, disk);
      } catch (IOException e) {
        LOG.log(Level.WARNING, "cannot merge layer " + orphan.id() + "; it stays for now", e);
      }
    }
    return null;
  }

  private Merge hold(Catalogue catalogue, LayerTable.Orphan orphan, Optional<UUID> disk)
      throws IOException {
    LayerTable layers = catalogue.layers();
    ActiveVolume active =
        disk.isPresent() ? volumes.activateForMaintenance(catalogue, disk.get()) : null;
    Layer above = active == null ? layers.acquire(orphan.above()) : active.nearest();
    Layer below = above.parent();
    try {
      if (below == null) {
        throw new IllegalStateException("layer " + orphan.above() + " has lost its parent");
      }
      layers.acquire(below.id);
      return new Merge(orphan, above, below, active);
    } catch (IOException | RuntimeException e) {
      releaseAbove(catalogue, above, active);
      throw e;
    }
  }

  private LayerWriter writerTo(Layer frozen) {
    return LayerWriter.ofMerge(frozen, files, space);
  }

  private @Nullable Void release(Catalogue catalogue, Merge merge) throws IOException {
    try {
      releaseAbove(catalogue, merge.above, merge.disk);
    } finally {
      catalogue.layers().release(merge.below, catalogue::deleteLater);
    }
    return null;
  }

  private void releaseAbove(Catalogue catalogue, Layer above, @Nullable ActiveVolume active)
      throws IOException {
    if (active == null) {
      catalogue.layers().release(above, catalogue::deleteLater);
    } else {
      volumes.deactivateForMaintenance(catalogue, active);
    }
  }

  // Merging.

  private void absorb(Merge merge, LayerWriter writer) throws IOException {
    if (!guard.with(catalogue -> prepareToChange(catalogue, merge, merge.above))) {
      return;
    }
    ActiveVolume disk = merge.disk;
    LayerWriter.Gate gate =
        step -> {
          if (disk != null) {
            return disk.whileWriting(writer, step);
          }
          step.run();
          return true;
        };
    if (writer.absorb(merge.below, () -> endWanted(merge), gate)) {
      guard.with(catalogue -> finish(catalogue, merge, writer));
    } else {
      unfinished.add(merge.orphan);
    }
  }

  private boolean endWanted(Merge merge) {
    return closing.getAsBoolean() || (merge.disk != null && merge.disk.wantedByOthers());
  }

  /** Which of the blocks that the lower layer speaks of the upper one speaks of, too. */
  private static RunList hidden(Merge merge) {
    RunList hidden = new RunList();
    merge.below.map.forEachRun((first, count, _) ->
        merge.above.map.forEachRun(first, first + count, (f, c, _) -> hidden.add(f, c, 0)));
    return hidden;
  }

  private void forgetHidden(Merge merge, LayerWriter writer) throws IOException {
    LayerWriter lower = writerTo(merge.below);
    RunList hidden = hidden(merge);
    if (hidden.size() == 0) {
      return;
    }
    // After the scan: what the guest writes meanwhile is not durable, and keeps its old copy.
    writer.flush();
    if (guard.with(catalogue -> prepareToChange(catalogue, merge, merge.below))) {
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
    volumes.withdrawPacks(catalogue, layers.packs().onFloor(merge.below.id));
    if (changed == merge.above && merge.disk != null) {
      layers.sums().remove(changed);
    } else {
      layers.sums().removeAll(changed);
    }
    layers.forgetViewsOver(merge.below);
    volumes.rebaseAll(merge.below);
    return true;
  }

  private @Nullable Void finish(Catalogue catalogue, Merge merge, LayerWriter writer)
      throws IOException {
    LayerTable layers = catalogue.layers();
    // Meanwhile the upper layer may have been deleted, or its disk flattened.
    if (layers.isOrphan(merge.orphan)) {
      Optional<UUID> below = layers.below(merge.orphan.id());
      try {
        writer.rewriteMap(below);
      } catch (IOException e) {
        // Its map may name either of them on disk now: both stay until the next start.
        if (below.isPresent()) {
          layers.addVolume(below.get());
        }
        throw e;
      }
      Layer bypassed = layers.bypass(merge.above);
      volumes.rebaseAll(bypassed);
      layers.release(bypassed, catalogue::deleteLater);
    }
    return null;
  }
}
