package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
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
  private final Condition letGo;

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
    this.letGo = guard.newCondition();
  }

  /** Under the lock: the volume if somebody uses it. */
  @Nullable ActiveVolume find(UUID id) {
    return active.get(id);
  }

  /** One user more, who calls {@link #deactivate} in the end. */
  ActiveVolume activate(Catalogue catalogue, UUID id) throws IOException {
    ActiveVolume volume = active.get(id);
    if (volume == null) {
      intents.requireFinished(id);
      VolumeRecord found = catalogue.get(id);
      Layer layer = catalogue.layers().acquire(found.layer());
      volume = make(catalogue, found, layer);
      active.put(id, volume);
    }
    volume.addUser();
    return volume;
  }

  private ActiveVolume make(Catalogue catalogue, VolumeRecord found, Layer layer)
      throws IOException {
    try {
      ActiveVolume volume =
          new ActiveVolume(found, layer, files, space, intents.isLeft(found.id()));
      if (catalogue.isUnpublished(found.id())) {
        volume.oweRecord(found);
      }
      intents.take(found.id());
      return volume;
    } catch (IOException e) {
      catalogue.layers().release(layer, catalogue::deleteLater);
      throw e;
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
    // Not a reason for maintenance by itself: that uses volumes too, and would never end.
    letGo.signalAll();
    catalogue
        .layers()
        .release(
            volume.nearest(),
            garbage -> {
              catalogue.deleteLater(garbage);
              maintainer.soon();
            });
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
    ActiveVolume volume = active.get(id);
    while (volume != null && volume.onlyMaintained() && left > 0) {
      volume.want();
      try {
        left = letGo.awaitNanos(left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw inUse(id);
      }
      volume = active.get(id);
    }
    guard.refuseClosed();
    if (volume != null) {
      throw inUse(id);
    }
  }

  private static VolumeException inUse(UUID id) {
    return new VolumeException(Reason.IN_USE, "volume " + id + " is in use; close it first");
  }

  // Handles.

  /** A disk has one at most. */
  LocalVolume openHandle(Catalogue catalogue, UUID id) throws IOException {
    if (!catalogue.get(id).sealed()) {
      ActiveVolume used = active.get(id);
      if (used != null && used.handleOpen()) {
        throw inUse(id);
      }
    }
    ActiveVolume volume = activate(catalogue, id);
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
        while (!active.isEmpty() && left > 0) {
          left = letGo.awaitNanos(left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      return active.isEmpty();
    });
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

  /** A disk, which others can use meanwhile, or ask to have for themselves. */
  ActiveVolume activateForMaintenance(Catalogue catalogue, UUID disk) throws IOException {
    ActiveVolume volume = activate(catalogue, disk);
    try {
      volume.settle();
    } catch (IOException e) {
      deactivate(catalogue, volume);
      throw e;
    }
    notePublished(catalogue, volume);
    volume.addMaintainer();
    return volume;
  }

  void deactivateForMaintenance(Catalogue catalogue, ActiveVolume volume) throws IOException {
    volume.removeMaintainer();
    deactivate(catalogue, volume);
  }

  /** Under the lock: whoever reads through the layer goes by what the layers say now. */
  void rebaseAll(Layer layer) {
    for (ActiveVolume volume : active.values()) {
      if (volume.standsOn(layer)) {
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

  /** Deletes the packs of these layers, durably, once nobody reads from them. */
  void withdrawPacks(Catalogue catalogue, List<UUID> packed) throws IOException {
    boolean deleted = false;
    for (UUID id : packed) {
      if (!catalogue.layers().packs().has(id)) {
        continue;
      }
      deleted = true;
      Layer layer = catalogue.layers().opened(id);
      Pack old = layer == null ? null : layer.pack();
      catalogue.layers().removePack(id);
      if (layer != null) {
        rebaseAll(layer);
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
