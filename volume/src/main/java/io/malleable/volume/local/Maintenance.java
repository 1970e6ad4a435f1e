package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * What a store does when it has time: files that nobody needs are deleted; chains are shortened by
 * {@link Merging}; frozen layers get compact maps and checksums; deep chains get packs by {@link
 * Packing}. One thread at a time; every step can be ended and begun again, or cut off by a crash.
 */
final class Maintenance {
  private static final Logger LOG = System.getLogger(Maintenance.class.getName());

  private final GuardedCatalogue guard;
  private final ActiveVolumes volumes;
  private final StoreFiles files;
  private final Maintainer maintainer;
  private final Merging merging;
  private final Packing packing;

  private final AtomicBoolean again = new AtomicBoolean();

  private final Set<UUID> failedSums = new HashSet<>();

  private final KeptChain summed;

  /** Layers that were not looked at in this run; null before the first is. */
  private @Nullable Deque<UUID> toSum;

  Maintenance(
      GuardedCatalogue guard,
      ActiveVolumes volumes,
      StoreFiles files,
      Maintainer maintainer,
      Merging merging,
      Packing packing) {
    this.guard = guard;
    this.volumes = volumes;
    this.files = files;
    this.maintainer = maintainer;
    this.merging = merging;
    this.packing = packing;
    this.summed = new KeptChain(guard);
  }

  /**
   * Something is gone: there is a reason for maintenance, and what was tried before in vain is
   * tried again. Called by any thread.
   */
  void tryAgainSoon() {
    again.set(true);
    maintainer.soon();
  }

  /** Does everything there is to do now. */
  synchronized void runAll() throws IOException {
    if (again.getAndSet(false)) {
      merging.tryAgain();
      packing.tryAgain();
    }
    toSum = null;
    recoverFrozen();
    merging.begin();
    compactMaps();
    packing.begin();
    try {
      while (!maintainer.ending()
          && (deleteOne() || upgradeOne() || merging.mergeOne() || packing.packOne() || sumOne())) {
        // Each step says whether there was anything to do.
      }
    } finally {
      StoreFile.closeAll(List.of(merging::end, summed::end));
    }
    while (deleteOne()) {
      // What was kept open may have been deleted.
    }
  }

  /** Layers whose sync failed; those that disks write to are the affair of {@link DiskCare}. */
  private void recoverFrozen() throws IOException {
    List<Layer> failed =
        guard.with(catalogue -> {
          List<Layer> held = new ArrayList<>();
          for (Layer layer : catalogue.open().failed()) {
            if (!catalogue.mayBeWritten(layer.id)) {
              held.add(catalogue.open().pinOpen(layer));
            }
          }
          return held;
        });
    for (Layer layer : failed) {
      try {
        LayerFlusher flusher = layer.flusher();
        if (flusher == null) {
          flusher = LayerFlusher.ofMerge(layer, files);
        }
        flusher.recover(maintainer::ending);
        flusher.retire();
      } catch (IOException e) {
        LOG.log(Level.WARNING, "cannot recover layer " + layer.id + "; next try later", e);
      } finally {
        guard.release(layer);
      }
    }
  }

  /** Those of layers that snapshots froze since; others are opened compact. */
  private void compactMaps() throws IOException {
    Set<Layer> frozen = new LinkedHashSet<>();
    guard.with(catalogue -> {
      volumes.frozenViews().forEach(view -> frozen.addAll(view.layers()));
      return null;
    });
    for (Layer layer : frozen) {
      layer.map.compact();
    }
  }

  private boolean deleteOne() throws IOException {
    String name = guard.with(Catalogue::takeGarbage);
    if (name == null) {
      return false;
    }
    deleteFile(name);
    return true;
  }

  /** What is left over is removed after the next start. Called by any thread. */
  void deleteFile(String name) {
    try {
      files.delete(name);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot delete " + name + ", which nobody needs any more", e);
    }
  }

  /** Frozen layers of an earlier version get maps that end with a seal. */
  private boolean upgradeOne() throws IOException {
    LayerNode next = guard.with(Maintenance::nextToUpgrade);
    if (next == null) {
      return false;
    }
    try {
      upgrade(guard.open(next));
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot seal layer " + next.id + " of an earlier version", e);
    }
    return true;
  }

  private static @Nullable LayerNode nextToUpgrade(Catalogue catalogue) throws IOException {
    LayerTable layers = catalogue.layers();
    layers.outdated().removeIf(id -> !layers.exists(id));
    for (UUID id : layers.outdated()) {
      if (!catalogue.mayBeWritten(id)) {
        layers.outdated().remove(id);
        return layers.pin(id);
      }
    }
    return null;
  }

  private void upgrade(Layer layer) throws IOException {
    try {
      layer.settle();
      LayerSums sums = layer.sums();
      if (sums != null) {
        sums.requireSameBlocks();
      }
      Optional<UUID> parent = guard.with(catalogue -> catalogue.layers().parentOf(layer.id));
      LayerFlusher.ofMerge(layer, files).rewriteMap(parent);
    } finally {
      guard.release(layer);
    }
  }

  private boolean sumOne() throws IOException {
    LayerNode next = guard.with(this::nextToSum);
    if (next == null) {
      return false;
    }
    try {
      sum(guard.open(next));
    } catch (IOException e) {
      failedSums.add(next.id);
      LOG.log(Level.ERROR, "layer " + next.id + " cannot be used", e);
    }
    return true;
  }

  private void sum(Layer layer) throws IOException {
    try {
      summed.keep(layer);
      layer.settle();
      if (LayerSums.create(files, layer, maintainer::ending)) {
        LayerOpening.Extra<LayerSums> read = SumsTable.read(files, layer);
        guard.with(catalogue -> {
          boolean changed = layer.live() != null;
          catalogue.open().publishSums(layer, read);
          if (changed && layer.sums() != null) {
            catalogue.deleteLater(List.of(StoreLayout.live(layer.id)));
          }
          return null;
        });
      }
    } catch (IOException e) {
      failedSums.add(layer.id);
      LOG.log(Level.WARNING, "cannot compute checksums of layer " + layer.id, e);
    } finally {
      guard.release(layer);
    }
  }

  private @Nullable LayerNode nextToSum(Catalogue catalogue) {
    Deque<UUID> unseen = toSum;
    if (unseen == null) {
      unseen = new ArrayDeque<>(catalogue.layers().allInChains());
      toSum = unseen;
    }
    for (UUID id = unseen.poll(); id != null; id = unseen.poll()) {
      if (wantsSums(catalogue, id)) {
        try {
          return catalogue.layers().pin(id);
        } catch (IOException e) {
          failedSums.add(id);
          LOG.log(Level.ERROR, "layer " + id + " cannot be used", e);
        }
      }
    }
    return null;
  }

  private boolean wantsSums(Catalogue catalogue, UUID id) {
    LayerTable layers = catalogue.layers();
    Layer open = catalogue.open().opened(id);
    // Its map on disk may say more than the one in memory, as may the next one in memory.
    boolean unclear = open != null && open.failure() != null;
    return layers.exists(id)
        && !catalogue.mayBeWritten(id)
        && !catalogue.open().sums().has(id)
        && !layers.isOrphan(id)
        && !unclear
        && !failedSums.contains(id);
  }
}
