package io.malleable.volume;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
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
    recoverFrozen();
    merging.begin();
    compactMaps();
    packing.begin();
    while (!maintainer.ending()
        && (deleteOne() || upgradeOne() || merging.mergeOne() || packing.packOne() || sumOne())) {
      // Each step says whether there was anything to do.
    }
  }

  /** Layers whose sync failed; those that disks write to are the affair of {@link DiskCare}. */
  private void recoverFrozen() throws IOException {
    List<Layer> failed =
        guard.with(catalogue -> {
          List<Layer> held = new ArrayList<>();
          for (Layer layer : catalogue.layers().failed()) {
            if (!catalogue.mayBeWritten(layer.id)) {
              held.add(catalogue.layers().acquire(layer.id));
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
        guard.with(catalogue -> {
          catalogue.layers().release(layer, catalogue::deleteLater);
          return null;
        });
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
    Layer layer = guard.with(Maintenance::beginUpgrade);
    if (layer == null) {
      return false;
    }
    try {
      layer.settle();
      LayerSums sums = layer.sums();
      if (sums != null) {
        sums.requireSameBlocks();
      }
      Optional<UUID> parent = guard.with(catalogue -> catalogue.layers().below(layer.id));
      LayerFlusher.ofMerge(layer, files).rewriteMap(parent);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot seal layer " + layer.id + " of an earlier version", e);
    } finally {
      guard.with(catalogue -> {
        catalogue.layers().release(layer, catalogue::deleteLater);
        return null;
      });
    }
    return true;
  }

  private static @Nullable Layer beginUpgrade(Catalogue catalogue) throws IOException {
    LayerTable layers = catalogue.layers();
    layers.outdated().removeIf(id -> !layers.exists(id));
    for (UUID id : layers.outdated()) {
      if (!catalogue.mayBeWritten(id)) {
        layers.outdated().remove(id);
        return layers.acquire(id);
      }
    }
    return null;
  }

  private boolean sumOne() throws IOException {
    Layer layer = guard.with(this::beginSum);
    if (layer == null) {
      return false;
    }
    boolean done = false;
    try {
      layer.settle();
      done = LayerSums.create(files, layer, maintainer::ending);
    } catch (IOException e) {
      failedSums.add(layer.id);
      LOG.log(Level.WARNING, "cannot compute checksums of layer " + layer.id, e);
    }
    boolean published = done;
    guard.with(catalogue -> {
      if (published) {
        boolean changed = layer.live() != null;
        catalogue.layers().addSums(layer.id);
        if (changed && layer.sums() != null) {
          catalogue.deleteLater(List.of(StoreLayout.live(layer.id)));
        }
      }
      catalogue.layers().release(layer, catalogue::deleteLater);
      return null;
    });
    return true;
  }

  private @Nullable Layer beginSum(Catalogue catalogue) throws IOException {
    LayerTable layers = catalogue.layers();
    Set<UUID> orphaned = new HashSet<>();
    for (LayerTable.Orphan orphan : layers.orphans()) {
      orphaned.add(orphan.id());
    }
    for (UUID id : catalogue.frozenLayers()) {
      Layer open = layers.opened(id);
      // Its map on disk may say more than the one in memory, as may the next one in memory.
      boolean unclear = open != null && open.failure() != null;
      boolean wanted = !layers.sums().has(id) && !orphaned.contains(id) && !unclear;
      if (wanted && !failedSums.contains(id)) {
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
