package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeFault;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Condition;
import org.jspecify.annotations.Nullable;

/**
 * The volumes in use: by handles, by a snapshot or a flatten that is under way, by maintenance. All
 * who use a volume share one {@link ActiveVolume}, which holds its chain of layers open.
 *
 * <p>Guarded by the catalogue's lock. A method with a {@link Catalogue} parameter is called under
 * it, as are those that say so; the others take it.
 */
final class ActiveVolumes {
  private static final Logger LOG = System.getLogger(ActiveVolumes.class.getName());

  /** How long is waited for others to let go of a volume. */
  private static final long LET_GO_NANOS = Duration.ofSeconds(10).toNanos();

  private final GuardedCatalogue guard;
  private final StoreFiles files;
  private final SpaceGuard space;
  private final IntentTable intents;
  private final Maintainer maintainer;
  private final int packedDepth;

  // Changed under the catalogue's lock.
  private final Map<UUID, ActiveVolume> active = new ConcurrentHashMap<>();
  private final Set<LocalVolume> handles = new HashSet<>();

  /** Volumes that somebody is opening, without the lock; they count as in use. */
  private final Set<UUID> opening = new HashSet<>();

  /** A volume is open, could not be opened, or is not in use any more. */
  private final Condition changed;

  /** What a volume is used for. */
  private enum Use {
    CALL,

    /** Others can have it for themselves when they ask. */
    MAINTENANCE
  }

  /**
   * None yet.
   *
   * @param packedDepth chains of so many sources are a reason for maintenance
   */
  ActiveVolumes(
      GuardedCatalogue guard,
      StoreFiles files,
      SpaceGuard space,
      IntentTable intents,
      Maintainer maintainer,
      int packedDepth) {
    this.guard = guard;
    this.files = files;
    this.space = space;
    this.intents = intents;
    this.maintainer = maintainer;
    this.packedDepth = packedDepth;
    this.changed = guard.newCondition();
  }

  /** Under the lock: one user more, as for {@link #activate}, if somebody uses the volume. */
  @Nullable ActiveVolume joinIfInUse(UUID id) {
    ActiveVolume volume = active.get(id);
    if (volume != null) {
      join(volume, Use.CALL);
    }
    return volume;
  }

  /**
   * Without the lock: one user more, who calls {@link #deactivate} in the end. Who comes while
   * somebody else opens the volume waits for that.
   */
  ActiveVolume activate(UUID id) throws IOException {
    return activate(id, Use.CALL);
  }

  private ActiveVolume activate(UUID id, Use use) throws IOException {
    return switch (guard.with(catalogue -> begin(catalogue, id, use))) {
      case Begun.InUse already -> already.volume;
      case Begun.Opening begun -> open(id, begun.top, use);
    };
  }

  /** What a volume is found as. */
  private sealed interface Begun {
    /** It has one user more. */
    record InUse(ActiveVolume volume) implements Begun {}

    /** It is marked as opening; its topmost layer is pinned. */
    record Opening(LayerNode top) implements Begun {}
  }

  private ActiveVolume open(UUID id, LayerNode pinned, Use use) throws IOException {
    Layer top = null;
    try {
      top = guard.open(pinned);
    } finally {
      if (top == null) {
        guard.with(_ -> endOpening(id));
      }
    }
    Layer nearest = top;
    return guard.with(catalogue -> finish(catalogue, id, nearest, use));
  }

  private Begun begin(Catalogue catalogue, UUID id, Use use) throws IOException {
    while (true) {
      if (use == Use.CALL) {
        guard.refuseClosed();
      }
      ActiveVolume volume = active.get(id);
      if (volume != null) {
        join(volume, use);
        return new Begun.InUse(volume);
      }
      if (!opening.contains(id)) {
        break;
      }
      changed.awaitUninterruptibly();
    }
    intents.requireFinished(id);
    LayerNode pinned = catalogue.layers().pin(catalogue.get(id).layer());
    opening.add(id);
    return new Begun.Opening(pinned);
  }

  private @Nullable Void endOpening(UUID id) {
    opening.remove(id);
    changed.signalAll();
    return null;
  }

  private ActiveVolume finish(Catalogue catalogue, UUID id, Layer top, Use use) throws IOException {
    Void _ = endOpening(id);
    VolumeRecord found;
    ActiveVolume volume;
    try {
      // It may have grown meanwhile; whatever else changes its record waits, or is refused.
      found = catalogue.get(id);
      volume = new ActiveVolume(found, top, files, space, intents.isLeft(id));
    } catch (IOException e) {
      StoreLayout.closeQuietly(() -> catalogue.open().release(top), e);
      throw e;
    }
    if (catalogue.isUnpublished(id)) {
      volume.oweRecord(found);
    }
    intents.take(id);
    active.put(id, volume);
    join(volume, use);
    return volume;
  }

  private static void join(ActiveVolume volume, Use use) {
    volume.addUser();
    if (use == Use.MAINTENANCE) {
      volume.addMaintainer();
    }
  }

  void deactivate(ActiveVolume volume) throws IOException {
    guard.with(catalogue -> {
      deactivate(catalogue, volume);
      return null;
    });
  }

  private void deactivate(Catalogue catalogue, ActiveVolume volume) throws IOException {
    if (volume.removeUser() > 0) {
      return;
    }
    active.remove(volume.id());
    notePublished(catalogue, volume);
    if (volume.intentLeft()) {
      intents.leave(volume.id());
    }
    changed.signalAll();
    try {
      catalogue.open().release(volume.nearest());
    } finally {
      // Not a reason for maintenance by itself: that uses volumes too, and would never end.
      if (catalogue.hasGarbage()) {
        maintainer.soon();
      }
    }
  }

  /**
   * Under the lock, which is given back meanwhile: waits for maintenance that has the volume to
   * itself.
   *
   * @throws VolumeException {@code IN_USE}, or {@code UNAVAILABLE} if the store was closed
   *     meanwhile
   */
  void refuseInUse(UUID id) throws VolumeException {
    long left = LET_GO_NANOS;
    while (mayBeLetGo(id) && left > 0) {
      try {
        left = changed.awaitNanos(left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw inUse(id);
      }
    }
    guard.refuseClosed();
    if (active.containsKey(id) || opening.contains(id)) {
      throw inUse(id);
    }
  }

  private boolean mayBeLetGo(UUID id) {
    ActiveVolume volume = active.get(id);
    if (volume == null) {
      return opening.contains(id);
    }
    volume.want();
    return volume.onlyMaintained();
  }

  private static VolumeException inUse(UUID id) {
    return new VolumeException(Reason.IN_USE, "volume " + id + " is in use; close it first");
  }

  // Handles.

  /** Without the lock. A disk has one at most. */
  LocalVolume openHandle(UUID id) throws IOException {
    ActiveVolume volume = activate(id);
    LocalVolume handle = null;
    try (GuardedCatalogue.Held _ = guard.hold()) {
      handle = handleOf(volume);
    } finally {
      if (handle == null) {
        deactivate(volume);
      }
    }
    return handle;
  }

  private LocalVolume handleOf(ActiveVolume volume) throws VolumeException {
    if (!volume.sealed() && volume.handleOpen()) {
      throw inUse(volume.id());
    }
    ChainView below = volume.chain().below();
    if (below != null && below.sourceCount() >= packedDepth) {
      maintainer.soon();
    }
    volume.setHandleOpen(true);
    LocalVolume handle = new LocalVolume(volume, this::closeHandle);
    handles.add(handle);
    return handle;
  }

  private void closeHandle(LocalVolume handle, ActiveVolume volume) throws IOException {
    guard.with(catalogue -> handles.remove(handle));
    try {
      volume.flush();
    } catch (IOException e) {
      if (handle.hasWritten()) {
        throw e;
      }
      // Of earlier writers, who were told or died; it is not lost, and the next flush tries again.
      LOG.log(Level.WARNING, "what volume " + volume.id() + " was left with is not durable", e);
    } finally {
      guard.with(catalogue -> {
        if (!volume.sealed()) {
          volume.setHandleOpen(false);
        }
        deactivate(catalogue, volume);
        return null;
      });
    }
  }

  /** Those that are open now. */
  List<LocalVolume> handles() throws IOException {
    return guard.with(catalogue -> List.copyOf(handles));
  }

  /**
   * After the store was closed: waits for those who were using a volume.
   *
   * @return whether nobody does any more
   */
  boolean awaitNone() throws IOException {
    return guard.with(catalogue -> {
      long left = LET_GO_NANOS;
      try {
        while (isAnyInUse() && left > 0) {
          left = changed.awaitNanos(left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      return !isAnyInUse();
    });
  }

  private boolean isAnyInUse() {
    return !active.isEmpty() || !opening.isEmpty();
  }

  /** Under the lock, after the volume was settled. */
  void notePublished(Catalogue catalogue, ActiveVolume volume) {
    if (volume.takePaidRecord()) {
      catalogue.published(volume.id());
    }
  }

  /** Those in use that take no writes. */
  Map<UUID, Layer.Failure> failures() {
    Map<UUID, Layer.Failure> found = new HashMap<>();
    active.forEach((id, volume) -> {
      Layer.Failure failure = volume.failure();
      if (failure != null) {
        found.put(id, failure);
      }
    });
    return found;
  }

  /** The same, as others are told. */
  Map<UUID, VolumeFault> faults() {
    Map<UUID, VolumeFault> faults = new HashMap<>();
    failures()
        .forEach((id, failure) ->
            faults.put(
                id,
                new VolumeFault(
                    String.valueOf(failure.cause().getMessage()),
                    failure.since(),
                    failure.recoveredPercent() < 0
                        ? OptionalInt.empty()
                        : OptionalInt.of(failure.recoveredPercent()))));
    return faults;
  }

  // For maintenance.

  /** Disks that have a handle open. */
  List<UUID> openDisks() throws IOException {
    return guard.with(_ ->
        active.values().stream()
            .filter(volume -> volume.handleOpen() && !volume.sealed())
            .map(ActiveVolume::id)
            .toList());
  }

  /** The volume if it is in use, which it stays until {@link #releaseFromCare}. */
  @Nullable ActiveVolume holdForCare(UUID id) throws IOException {
    return guard.with(_ -> {
      ActiveVolume volume = active.get(id);
      if (volume != null) {
        volume.addUser();
        volume.addMaintainer();
      }
      return volume;
    });
  }

  void releaseFromCare(ActiveVolume volume) throws IOException {
    guard.with(catalogue -> {
      deactivateForMaintenance(catalogue, volume);
      return null;
    });
  }

  /**
   * Without the lock: a disk, settled, which others can use meanwhile, or ask to have for
   * themselves.
   */
  ActiveVolume activateForMaintenance(UUID disk) throws IOException {
    ActiveVolume volume = activate(disk, Use.MAINTENANCE);
    try {
      volume.settle();
    } catch (IOException e) {
      StoreLayout.closeQuietly(() -> releaseFromCare(volume), e);
      throw e;
    }
    guard.with(catalogue -> {
      notePublished(catalogue, volume);
      return null;
    });
    return volume;
  }

  void deactivateForMaintenance(Catalogue catalogue, ActiveVolume volume) throws IOException {
    volume.removeMaintainer();
    deactivate(catalogue, volume);
  }

  /** Under the lock: whoever reads through the layer goes by what the layers say now. */
  void rebaseAll(Catalogue catalogue, Layer layer) {
    for (UUID id : catalogue.volumesOver(layer.id)) {
      ActiveVolume volume = active.get(id);
      if (volume != null) {
        volume.rebase();
      }
    }
  }

  /** Under the lock: what is read from, without the layers that are written to. */
  Set<ChainView> frozenViews() {
    Set<ChainView> views = new LinkedHashSet<>();
    for (ActiveVolume volume : active.values()) {
      ChainView below = volume.chain().below();
      if (below != null) {
        views.add(below);
      }
    }
    return views;
  }

  /** The packs of these layers go, durably, once nobody reads from them. */
  void withdrawPacks(Catalogue catalogue, List<UUID> packed) throws IOException {
    boolean deleted = false;
    for (UUID id : packed) {
      if (!catalogue.open().packs().has(id)) {
        continue;
      }
      deleted = true;
      Layer layer = catalogue.open().opened(id);
      Pack old = layer == null ? null : layer.pack();
      catalogue.open().removePack(id);
      if (layer != null) {
        rebaseAll(catalogue, layer);
        if (old != null) {
          old.close();
        }
      }
    }
    if (deleted) {
      files.syncDirectory(StoreLayout.LAYERS);
    }
  }
}
