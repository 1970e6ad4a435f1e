package io.malleable.volume;

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
  static Optional<VolumeInfo> existing(Catalogue catalogue, UUID id, UUID disk) throws IOException {
    Optional<VolumeRecord> existing = catalogue.find(id);
    if (existing.isEmpty()) {
      return Optional.empty();
    }
    if (!existing.get().disk().equals(Optional.of(disk))) {
      throw new VolumeException(
          Reason.ALREADY_EXISTS,
          "volume %s exists already and is no snapshot of %s".formatted(id, disk));
    }
    return Optional.of(catalogue.info(existing.get()));
  }

  VolumeInfo snapshot(UUID id) throws IOException {
    // The bulk of what is not durable yet, while writes go on; the rest below is little.
    disk.flush();
    try (GuardedCatalogue.Held held = guard.hold()) {
      Optional<VolumeInfo> existing = existing(held.catalogue(), id, disk.id());
      return existing.isPresent() ? existing.get() : snapshotNow(held.catalogue(), id);
    }
  }

  private LayerWriter prepare(Catalogue catalogue, UUID fresh) throws IOException {
    Layer top = catalogue.layers().acquire(fresh);
    try {
      return disk.prepare(top);
    } catch (IOException e) {
      // Closes it, which takes its tail away: a later start must not take it for the disk's.
      catalogue.layers().release(top, catalogue::deleteLater);
      throw e;
    }
  }

  private VolumeInfo snapshotNow(Catalogue catalogue, UUID id) throws IOException {
    disk.settle();
    if (disk.takePaidRecord()) {
      catalogue.published(disk.id());
    }
    VolumeRecord before = catalogue.get(disk.id());
    UUID frozen = before.layer();
    UUID fresh = UUID.randomUUID();
    catalogue.layers().create(fresh, Optional.of(frozen));
    VolumeRecord after = before.withLayer(fresh);
    LayerWriter top;
    try {
      top = prepare(catalogue, fresh);
    } catch (IOException e) {
      catalogue.collect(fresh);
      throw e;
    }
    catalogue.layers().release(disk.nearest(), catalogue::deleteLater);
    disk.putOnTop(top, after);
    catalogue.replaceInMemory(after);
    disk.settle();
    catalogue.published(after.id());
    VolumeRecord snapshot =
        new VolumeRecord(
            id, true, before.sizeBytes(), frozen, before.parent(), Optional.of(before.id()));
    catalogue.add(snapshot);
    maintainer.soon();
    return catalogue.info(snapshot);
  }
}
