package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.rbd.RbdImages.Facts;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * A disk at one moment as an image of its own: the disk's image gets a snapshot that is named like
 * the new volume, the moment, which goes as soon as the clone of it is sealed.
 */
final class RbdSnapshots {
  private final RbdCluster cluster;
  private final RbdImages images;
  private final OpenVolumes volumes;

  RbdSnapshots(RbdCluster cluster, RbdImages images, OpenVolumes volumes) {
    this.cluster = cluster;
    this.images = images;
    this.volumes = volumes;
  }

  /** The caller holds both. */
  VolumeInfo take(UUID id, UUID disk) throws IOException {
    Facts source = volumes.facts(disk);
    Optional<Facts> existing = images.existing(id);
    if (existing.isPresent()) {
      if (existing.get().lineage().snapshotOf().equals(Optional.of(disk))) {
        removeMoments(disk, List.of(id.toString()));
        return images.requireInfo(id);
      }
      throw new VolumeException(
          Reason.ALREADY_EXISTS, "volume " + id + " exists and is not a snapshot of " + disk);
    }
    if (source.sealed()) {
      throw new VolumeException(
          Reason.SEALED, "volume " + disk + " is sealed; clone it instead of taking a snapshot");
    }
    takeSnapshot(id, disk, new Lineage(source.lineage().parent(), Optional.of(disk)));
    return new VolumeInfo(id, true, source.sizeBytes(), 0, source.lineage().parent());
  }

  private void takeSnapshot(UUID id, UUID disk, Lineage lineage) throws IOException {
    String moment = id.toString();
    volumes.withImage(
        disk,
        image -> {
          // Of a call that a crash cut off: the disk has gone on since.
          if (image.hasSnapshot(moment)) {
            image.removeSnapshot(moment);
          }
          image.snapshot(moment);
          cluster.clone(disk.toString(), moment, id.toString());
          try (RbdImage copy = cluster.openWritable(id.toString())) {
            copy.snapshot(RbdCluster.SEALED);
            copy.metadata(RbdImages.RECORD, lineage.format());
          }
          image.removeSnapshot(moment);
        });
  }

  private void removeMoments(UUID disk, List<String> moments) throws IOException {
    volumes.withImage(
        disk,
        image -> {
          for (String moment : moments) {
            if (image.hasSnapshot(moment)) {
              image.removeSnapshot(moment);
            }
          }
        });
  }
}
