package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.Optional;
import java.util.UUID;

/**
 * Freezes what a disk in use holds, as a snapshot. The disk's topmost layer goes to the snapshot,
 * and the disk writes on to an empty one above it.
 */
final class Freezing {
  private final GuardedCatalogue guard;
  private final ActiveVolume disk;
  private final Maintainer maintainer;

  Freezing(GuardedCatalogue guard, ActiveVolume disk, Maintainer maintainer) {
    this.guard = guard;
    this.disk = disk;
    this.maintainer = maintainer;
  }

  /** The snapshot if it was taken before; any other volume of this id is refused. */
  static Optional<VolumeSizes> existing(Catalogue catalogue, UUID id, UUID disk)
      throws IOException {
    Optional<VolumeRecord> existing = catalogue.find(id);
    if (existing.isEmpty()) {
      return Optional.empty();
    }
    if (!existing.get().disk().equals(Optional.of(disk))) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS,
          "volume %s exists already and is no snapshot of %s".formatted(id, disk));
    }
    return Optional.of(catalogue.sizes(existing.get()));
  }

  VolumeSizes snapshot(UUID id) throws IOException {
    // The bulk of what is not durable yet, while nobody waits for it.
    disk.flush();
    disk.chainLock().lock();
    try {
      disk.settle();
      VolumeRecord snapshot;
      try (GuardedCatalogue.Held held = guard.hold()) {
        Catalogue catalogue = held.catalogue();
        Optional<VolumeSizes> existing = existing(catalogue, id, disk.id());
        if (existing.isPresent()) {
          return existing.get();
        }
        notePublished(catalogue);
        snapshot = freeze(catalogue, id);
      }
      settle(snapshot);
      return guard.with(catalogue -> publish(catalogue, snapshot));
    } finally {
      disk.chainLock().unlock();
    }
  }

  private void notePublished(Catalogue catalogue) {
    if (disk.takePaidRecord()) {
      catalogue.published(disk.id());
    }
  }

  /**
   * Lets writes into a fresh layer. What is frozen belongs to the snapshot from now on, though that
   * is not published: nobody may take it for a layer that no volume needs.
   */
  private VolumeRecord freeze(Catalogue catalogue, UUID id) throws IOException {
    VolumeRecord before = catalogue.get(disk.id());
    VolumeRecord snapshot =
        new VolumeRecord(
            id,
            true,
            before.sizeBytes(),
            before.layer(),
            before.parent(),
            Optional.of(before.id()));
    catalogue.reserve(snapshot);
    try {
      putOnTop(catalogue, before);
    } catch (IOException e) {
      catalogue.unreserve(snapshot);
      throw e;
    }
    return snapshot;
  }

  private void putOnTop(Catalogue catalogue, VolumeRecord before) throws IOException {
    UUID fresh = UUID.randomUUID();
    Layer frozen = disk.writer().layer();
    catalogue.layers().create(fresh, Optional.of(frozen.id));
    VolumeRecord after = before.withLayer(fresh);
    LayerWriter top;
    try {
      top = prepare(catalogue, fresh);
    } catch (IOException e) {
      catalogue.collect(fresh);
      throw e;
    }
    catalogue.open().release(frozen);
    disk.putOnTop(top, after);
    catalogue.replaceInMemory(after);
  }

  private LayerWriter prepare(Catalogue catalogue, UUID fresh) throws IOException {
    Layer top = catalogue.open().openEmpty(catalogue.layers().pin(fresh));
    try {
      return disk.prepare(top);
    } catch (IOException e) {
      // Closes it, which takes its tail away: a later start must not take it for the disk's.
      StoreLayout.closeQuietly(() -> catalogue.open().release(top), e);
      throw e;
    }
  }

  /** Takes as long as what was written since the flush takes to be durable. */
  private void settle(VolumeRecord snapshot) throws IOException {
    try {
      disk.settle();
    } catch (IOException e) {
      guard.with(catalogue -> {
        catalogue.unreserve(snapshot);
        return null;
      });
      throw e;
    }
  }

  private VolumeSizes publish(Catalogue catalogue, VolumeRecord snapshot) throws IOException {
    notePublished(catalogue);
    catalogue.publishReserved(snapshot);
    maintainer.soon();
    return catalogue.sizes(snapshot);
  }
}
