package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
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

  /**
   * Of one chain: 8 GiB at the usual size. What is read beyond that comes from the device anyway.
   */
  private static final int MAX_PACKS = 8;

  private final GuardedCatalogue guard;
  private final ActiveVolumes volumes;
  private final StoreFiles files;
  private final LocalVolumeStore.Settings settings;
  private final BooleanSupplier closing;
  private final Set<UUID> considered = new HashSet<>();
  private final Set<UUID> failed = new HashSet<>();

  Packing(
      GuardedCatalogue guard,
      ActiveVolumes volumes,
      StoreFiles files,
      LocalVolumeStore.Settings settings,
      BooleanSupplier closing) {
    this.guard = guard;
    this.volumes = volumes;
    this.files = files;
    this.settings = settings;
    this.closing = closing;
  }

  /** A chain that may get a pack; its uppermost frozen layer is held open. */
  private record Candidate(Layer top, ChainView view) {}

  /**
   * What to put into a pack.
   *
   * @param from the uppermost layer, which the pack belongs to
   * @param floor the first layer that is left out
   */
  private record Plan(Layer from, UUID floor, RunList runs) {}

  /** Neighbours in a chain that fit into one pack together, or something larger by itself. */
  private static final class Group {
    final List<ChainView.Span> spans = new ArrayList<>();
    long blocks;

    void add(ChainView.Span span, long spanBlocks) {
      spans.add(span);
      blocks += spanBlocks;
    }

    int from() {
      return spans.getFirst().from();
    }

    int floor() {
      return spans.getLast().floor();
    }
  }

  /** What the packs of one chain may take, given to the uppermost first. */
  private static final class Budget {
    private int packs = MAX_PACKS;
    private long mapBytes = PackMap.MAX_BYTES;
    private long blocks;

    Budget(long blocks) {
      this.blocks = blocks;
    }

    boolean take(long neededMapBytes, long neededBlocks) {
      if (packs == 0 || neededMapBytes > mapBytes || neededBlocks > blocks) {
        return false;
      }
      packs--;
      mapBytes -= neededMapBytes;
      blocks -= neededBlocks;
      return true;
    }

    boolean take(Pack pack) {
      return take(pack.map().bytes(), pack.map().slots());
    }
  }

  /** What failed may have failed for want of what is there now. */
  void tryAgain() {
    failed.clear();
  }

  /** Before the rest, at each run of the maintenance. */
  void begin() throws IOException {
    considered.clear();
    if (files.availableBytes() < RESERVE_FACTOR * settings.reserveBytes()) {
      guard.with(catalogue -> {
        volumes.withdrawPacks(catalogue, catalogue.open().packs().all());
        return null;
      });
    }
  }

  /** Whether there was anything to do. */
  boolean packOne() throws IOException {
    Candidate candidate = guard.with(this::choose);
    if (candidate == null) {
      return false;
    }
    try {
      for (Layer layer : candidate.view.layers()) {
        layer.settle();
      }
      Plan plan = plan(candidate.view);
      if (plan != null && pack(plan) && publish(candidate, plan.from)) {
        // There may be more to do further down.
        considered.remove(candidate.top.id);
      }
    } catch (IOException e) {
      failed.add(candidate.top.id);
      LOG.log(Level.WARNING, "cannot pack layer " + candidate.top.id + " and those below it", e);
    } finally {
      guard.release(candidate.top);
    }
    return true;
  }

  private @Nullable Candidate choose(Catalogue catalogue) throws IOException {
    for (ChainView view : volumes.frozenViews()) {
      UUID top = view.layers().getFirst().id;
      if (view.sourceCount() >= settings.packedDepth()
          && allReliable(view)
          && catalogue.layers().exists(top)
          && catalogue.frozenOnDisk(top)
          && !failed.contains(top)
          && considered.add(top)) {
        return new Candidate(catalogue.open().pinOpen(view.layers().getFirst()), view);
      }
    }
    return null;
  }

  /** What a failed sync has lost is zeroes when it is read once more; a pack would keep them. */
  private static boolean allReliable(ChainView view) {
    return view.layers().stream().allMatch(layer -> layer.failure() == null);
  }

  /**
   * The next pack of a chain that is to get some: as many of its layers and smaller packs as fit
   * into one, from the top down, then as many as fit into the next; never the lowest layer, which
   * is one file by itself. A full pack stays as it is while the chain grows.
   */
  private @Nullable Plan plan(ChainView view) throws IOException {
    long spaceBytes = spaceBytes();
    List<Group> groups = groups(view);
    if (!worthwhile(groups, budget(view, spaceBytes))) {
      return null;
    }
    Budget budget = budget(view, spaceBytes);
    for (Group group : groups) {
      Pack pack = group.spans.getFirst().pack();
      if (group.spans.size() > 1) {
        Plan plan = group.blocks <= budget.blocks ? plan(view, group, budget) : null;
        if (plan != null) {
          return plan;
        }
      } else if (pack != null) {
        budget.take(pack);
      }
    }
    return null;
  }

  /** Whether half of the sources go, as far down as there may be packs at all. */
  private static boolean worthwhile(List<Group> groups, Budget budget) {
    int before = 0;
    int after = 0;
    for (Group group : groups) {
      Pack pack = group.spans.getFirst().pack();
      boolean packed = group.spans.size() > 1 || pack != null;
      long mapBytes = group.spans.size() == 1 && pack != null ? pack.map().bytes() : 0;
      if (!packed || budget.take(mapBytes, group.blocks)) {
        before += group.spans.size();
        after++;
      }
    }
    // The lowest layer is a source, too.
    return before - after >= (before + 1) / 2;
  }

  /** What is left of the file system before packs are taken away again. */
  private long spaceBytes() throws IOException {
    return files.availableBytes() - RESERVE_FACTOR * settings.reserveBytes();
  }

  /** The packs that a chain has may go, so their space counts as left. */
  private static Budget budget(ChainView view, long spaceBytes) {
    long held = view.packs().stream().mapToLong(pack -> pack.map().slots()).sum();
    return new Budget(((spaceBytes >> BlockMap.BLOCK_SHIFT) + held) / SPACE_FACTOR);
  }

  private List<Group> groups(ChainView view) {
    List<Group> groups = new ArrayList<>();
    for (ChainView.Span span : view.spans().subList(0, view.sourceCount() - 1)) {
      Pack pack = span.pack();
      long blocks =
          pack == null ? view.layers().get(span.from()).map.dataBlocks() : pack.map().slots();
      if (groups.isEmpty() || groups.getLast().blocks + blocks > settings.packBlocks()) {
        groups.add(new Group());
      }
      groups.getLast().add(span, blocks);
    }
    return groups;
  }

  private static @Nullable Plan plan(ChainView view, Group group, Budget budget) {
    List<Layer> layers = view.layers();
    BlockMap together = new BlockMap();
    for (Layer layer : layers.subList(group.from(), group.floor()).reversed()) {
      layer.map.forEachRun(together::set);
    }
    RunList runs = new RunList();
    together.forEachRun(runs::add);
    PackMap map = runs.size() <= Pack.MAX_RUNS ? PackMap.of(runs) : null;
    return map != null && budget.take(map.bytes(), map.slots())
        ? new Plan(layers.get(group.from()), layers.get(group.floor()).id, runs)
        : null;
  }

  private boolean pack(Plan plan) throws IOException {
    UUID layer = plan.from.id;
    ChainView view =
        guard.with(catalogue -> {
          // An older one of this layer, of fewer layers, would be hard to tell from the new one.
          volumes.withdrawPacks(catalogue, List.of(layer));
          catalogue.open().packs().expect(layer, plan.floor);
          // Of its own, as what it remembers of the layers is of no use to others afterwards; and
          // without the pack that was just withdrawn, which is closed.
          return new ChainView(plan.from);
        });
    Chain content = new Chain(0, null, view);
    return Pack.create(files, layer, plan.floor, content, plan.runs, closing);
  }

  private boolean publish(Candidate candidate, Layer packed) throws IOException {
    LayerOpening.Extra<Pack> read = PackTable.read(files, packed.id);
    return guard.with(catalogue -> publish(catalogue, candidate, packed, read));
  }

  /**
   * Open volumes read from the pack from now on; those that it replaces go, and those further down
   * for which there is no budget any more.
   *
   * @return whether the chain has become shorter
   */
  private boolean publish(
      Catalogue catalogue, Candidate candidate, Layer packed, LayerOpening.Extra<Pack> read)
      throws IOException {
    catalogue.open().publishPack(packed, read);
    volumes.rebaseAll(catalogue, packed);
    long spaceBytes = spaceBytes();
    Set<Pack> wanted = new HashSet<>();
    for (ChainView view : volumes.frozenViews()) {
      Budget budget = budget(view, spaceBytes);
      view.packs().stream().filter(budget::take).forEach(wanted::add);
    }
    for (Pack old : candidate.view.packs()) {
      if (!old.layer().equals(packed.id) && !wanted.contains(old)) {
        volumes.withdrawPacks(catalogue, List.of(old.layer()));
      }
    }
    return candidate.top.view().sourceCount() < candidate.view.sourceCount();
  }
}
