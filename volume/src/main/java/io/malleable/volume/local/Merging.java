package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.Objects;
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
  private final KeptChain merged;

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
    this.merged = new KeptChain(guard);
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

  /** After the rest. */
  void end() throws IOException {
    merged.end();
  }

  /** Whether there was anything to do. */
  boolean mergeOne() throws IOException {
    Choice choice = guard.with(this::choose);
    if (choice == null) {
      return false;
    }
    Merge merge = hold(choice);
    if (merge == null) {
      return true;
    }
    try {
      // Not the two, which may be gone when this ends.
      Layer kept = guard.with(_ -> merge.below.parent());
      if (kept != null) {
        merged.keep(kept);
      }
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
      log(merge.orphan, e);
    } finally {
      guard.with(catalogue -> release(catalogue, merge));
    }
    return true;
  }

  private static void log(LayerTable.Orphan orphan, IOException e) {
    LOG.log(Level.WARNING, "cannot merge layer " + orphan.id() + "; it stays for now", e);
  }

  private static boolean worthAbsorbing(Layer below, Layer above) {
    long moved = below.map.dataBlocks();
    return moved <= SMALL_BLOCKS || moved <= WORTHWHILE_FACTOR * above.map.dataBlocks();
  }

  // Choosing, and holding open.

  /**
   * What to merge.
   *
   * @param disk the disk that writes to the upper layer; otherwise that is pinned
   */
  private record Choice(
      LayerTable.Orphan orphan, @Nullable UUID disk, @Nullable LayerNode pinned) {}

  private @Nullable Choice choose(Catalogue catalogue) {
    for (LayerTable.Orphan orphan : catalogue.layers().orphans()) {
      Optional<UUID> disk = catalogue.diskOn(orphan.above());
      // What was frozen in memory only may still have a writer that is not done with it.
      boolean settled = disk.isPresent() || catalogue.frozenOnDisk(orphan.above());
      if (!settled || !seen.add(orphan)) {
        continue;
      }
      try {
        return disk.isPresent()
            ? new Choice(orphan, disk.get(), null)
            : new Choice(orphan, null, catalogue.layers().pin(orphan.above()));
      } catch (IOException e) {
        log(orphan, e);
      }
    }
    return null;
  }

  /** Null when it cannot be merged now. */
  private @Nullable Merge hold(Choice choice) throws IOException {
    LayerTable.Orphan orphan = choice.orphan;
    ActiveVolume active;
    Layer acquired;
    try {
      active = choice.disk == null ? null : volumes.activateForMaintenance(choice.disk);
      acquired = choice.pinned == null ? null : guard.open(choice.pinned);
    } catch (IOException e) {
      log(orphan, e);
      return null;
    }
    return guard.with(catalogue -> hold(catalogue, orphan, active, acquired));
  }

  /** Unless the disk has got another layer meanwhile, or one of the two is gone. */
  private @Nullable Merge hold(
      Catalogue catalogue,
      LayerTable.Orphan orphan,
      @Nullable ActiveVolume active,
      @Nullable Layer acquired)
      throws IOException {
    Layer above = active == null ? Objects.requireNonNull(acquired) : active.nearest();
    Layer below = above.parent();
    if (below == null || !above.id.equals(orphan.above()) || !catalogue.layers().isOrphan(orphan)) {
      unfinished.add(orphan);
      releaseAbove(catalogue, above, active);
      return null;
    }
    return new Merge(orphan, above, catalogue.open().pinOpen(below), active);
  }

  private LayerWriter writerTo(Layer frozen) {
    return LayerWriter.ofMerge(frozen, files, space);
  }

  private @Nullable Void release(Catalogue catalogue, Merge merge) throws IOException {
    try {
      releaseAbove(catalogue, merge.above, merge.disk);
    } finally {
      catalogue.open().release(merge.below);
    }
    return null;
  }

  private void releaseAbove(Catalogue catalogue, Layer above, @Nullable ActiveVolume active)
      throws IOException {
    if (active == null) {
      catalogue.open().release(above);
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
      finish(merge, writer);
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
    OpenLayers layers = catalogue.open();
    if (!catalogue.layers().isOrphan(merge.orphan)) {
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
    volumes.rebaseAll(catalogue, merge.below);
    return true;
  }

  /**
   * The upper layer's map names what the lower one stood on; then the lower one is taken out. The
   * disk is not flattened meanwhile, as its chain is locked, and merges take turns; so the lower
   * layer stays between the two, or goes together with the upper one.
   */
  private void finish(Merge merge, LayerWriter writer) throws IOException {
    ActiveVolume disk = merge.disk;
    if (disk == null) {
      replaceMap(merge, writer);
      return;
    }
    disk.chainLock().lock();
    try {
      replaceMap(merge, writer);
    } finally {
      disk.chainLock().unlock();
    }
  }

  private void replaceMap(Merge merge, LayerWriter writer) throws IOException {
    Ground ground = guard.with(catalogue -> ground(catalogue.layers(), merge));
    if (ground == null) {
      return;
    }
    Optional<UUID> below = ground.layer;
    try {
      writer.rewriteMap(below);
    } catch (IOException e) {
      guard.with(catalogue -> keep(catalogue, below));
      throw e;
    }
    guard.with(catalogue -> bypass(catalogue, merge));
  }

  /** What the upper layer is to stand on. */
  private record Ground(Optional<UUID> layer) {}

  /** Null when the upper layer was deleted meanwhile, or its disk flattened. */
  private static @Nullable Ground ground(LayerTable layers, Merge merge) {
    return layers.isOrphan(merge.orphan) ? new Ground(layers.parentOf(merge.orphan.id())) : null;
  }

  /** The map may name either of them on disk now: both stay until the next start. */
  private static @Nullable Void keep(Catalogue catalogue, Optional<UUID> below) throws IOException {
    if (below.isPresent() && catalogue.layers().exists(below.get())) {
      catalogue.layers().addVolume(below.get());
    }
    return null;
  }

  private @Nullable Void bypass(Catalogue catalogue, Merge merge) throws IOException {
    if (catalogue.layers().isOrphan(merge.orphan)) {
      Layer bypassed = catalogue.layers().bypass(merge.above);
      volumes.rebaseAll(catalogue, merge.above);
      catalogue.open().release(bypassed);
    }
    return null;
  }
}
