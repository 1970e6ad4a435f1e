package io.malleable.volume;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Gives chains in use that have become deep a {@link Pack}, and takes packs away when space is
 * short. Part of {@link Maintenance}: called by one thread at a time.
 */
final class Packing {
  private static final Logger LOG = System.getLogger(Packing.class.getName());

  /** A pack is made only if it takes at most one part in so many of the space that is left. */
  private static final int SPACE_FACTOR = 4;

  /** There are no packs when less than so many times the reserve is left. */
  private static final int RESERVE_FACTOR = 2;

  private final LocalVolumeStore store;
  private final StoreFiles files;
  private final LocalVolumeStore.Settings settings;
  private final BooleanSupplier closing;
  private final Set<UUID> considered = new HashSet<>();
  private final Set<UUID> failed = new HashSet<>();

  Packing(
      LocalVolumeStore store,
      StoreFiles files,
      LocalVolumeStore.Settings settings,
      BooleanSupplier closing) {
    this.store = store;
    this.files = files;
    this.settings = settings;
    this.closing = closing;
  }

  /** A chain that may get a pack; its uppermost frozen layer is held open. */
  private record Candidate(Layer top, ChainView view) {}

  /**
   * What to put into a pack.
   *
   * @param floor the first layer that is left out
   */
  private record Plan(UUID floor, RunList runs) {}

  /** What failed may have failed for want of what is there now. */
  void tryAgain() {
    failed.clear();
  }

  /** Before the rest, at each run of the maintenance. */
  void begin() throws IOException {
    considered.clear();
    if (files.availableBytes() < RESERVE_FACTOR * settings.reserveBytes()) {
      store.withCatalogue(catalogue -> {
        store.withdraw(catalogue.layers().packs().all());
        return null;
      });
    }
  }

  /** Whether there was anything to do. */
  boolean packOne() throws IOException {
    Candidate candidate = store.withCatalogue(this::choose);
    if (candidate == null) {
      return false;
    }
    try {
      Plan plan = plan(candidate.view);
      if (plan != null && pack(candidate, plan)) {
        store.withCatalogue(catalogue -> publish(catalogue, candidate));
      }
    } catch (IOException e) {
      failed.add(candidate.top.id);
      LOG.log(Level.WARNING, "cannot pack layer " + candidate.top.id + " and those below it", e);
    } finally {
      store.withCatalogue(catalogue -> {
        catalogue.deleteLater(catalogue.layers().release(candidate.top));
        return null;
      });
    }
    return true;
  }

  private @Nullable Candidate choose(Catalogue catalogue) throws IOException {
    for (ChainView view : store.frozenViews()) {
      UUID top = view.layers().getFirst().id;
      if (view.sourceCount() >= settings.packedDepth()
          && catalogue.layers().exists(top)
          && catalogue.frozenOnDisk(top)
          && !failed.contains(top)
          && considered.add(top)) {
        return new Candidate(catalogue.layers().acquire(top), view);
      }
    }
    return null;
  }

  /** As many layers as fit, from the top down; never the lowest, which is one file by itself. */
  private @Nullable Plan plan(ChainView view) throws IOException {
    List<Layer> layers = view.layers();
    long blocks = 0;
    int floor = 0;
    while (floor < layers.size() - 1) {
      blocks += layers.get(floor).map.dataBlocks();
      if (blocks > Pack.MAX_BLOCKS) {
        break;
      }
      floor++;
    }
    int sourcesAfter = 1 + layers.size() - floor;
    boolean worthwhile = view.sourceCount() - sourcesAfter >= view.sourceCount() / 2;
    // Beyond that packs are taken away again.
    long space = files.availableBytes() - RESERVE_FACTOR * settings.reserveBytes();
    if (floor == 0
        || !worthwhile
        || space / SPACE_FACTOR < Math.min(blocks, Pack.MAX_BLOCKS) << BlockMap.BLOCK_SHIFT) {
      return null;
    }
    BlockMap together = new BlockMap();
    for (Layer layer : layers.subList(0, floor).reversed()) {
      layer.map.forEachRun(together::set);
    }
    RunList runs = new RunList();
    together.forEachRun(runs::add);
    boolean fits = runs.size() <= Pack.MAX_RUNS && PackMap.of(runs) != null;
    return fits ? new Plan(layers.get(floor).id, runs) : null;
  }

  private boolean pack(Candidate candidate, Plan plan) throws IOException {
    UUID layer = candidate.top.id;
    ChainView view =
        store.withCatalogue(catalogue -> {
          // An older one of this layer, of fewer layers, would be hard to tell from the new one.
          store.withdraw(List.of(layer));
          catalogue.layers().packs().expect(layer, plan.floor);
          // Without the pack that was just withdrawn, which is closed.
          return candidate.top.view();
        });
    Chain content = new Chain(0, null, view);
    return Pack.create(files, layer, plan.floor, content, plan.runs, closing);
  }

  /** Open volumes read from the pack from now on, and the one that it replaces goes. */
  private @Nullable Void publish(Catalogue catalogue, Candidate candidate) throws IOException {
    catalogue.layers().openPack(candidate.top);
    store.rebaseAll(candidate.top);
    Pack replaced = candidate.view.pack();
    if (replaced != null && !replaced.layer().equals(candidate.top.id)) {
      boolean wanted = store.frozenViews().stream().anyMatch(view -> view.pack() == replaced);
      if (!wanted) {
        store.withdraw(List.of(replaced.layer()));
      }
    }
    return null;
  }
}
