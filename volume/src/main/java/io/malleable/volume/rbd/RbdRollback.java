package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * Rollback in constant time: a clone of the snapshot, the image {@code <disk>.rollback}, takes the
 * disk's name. The disk's own image names the server that does it in {@code m2.rollback} from
 * before the clone exists, and the clone in {@code m2.owner} before the disk's image goes, so that
 * a start finishes what this server's crash cut off and touches nothing of anybody else.
 */
final class RbdRollback {
  private static final System.Logger LOG = System.getLogger(RbdRollback.class.getName());

  private static final String SUFFIX = ".rollback";

  /** On the disk: the instance that prepares a rollback of it. */
  private static final String INTENT = "m2.rollback";

  /** On the prepared image: the instance that is going to give it the disk's name. */
  private static final String OWNER = "m2.owner";

  private final RbdCluster cluster;
  private final RbdImages images;
  private final String instance;

  RbdRollback(RbdCluster cluster, RbdImages images) {
    this.cluster = cluster;
    this.images = images;
    this.instance = cluster.config().instance().toString();
  }

  /** The caller holds the disk, and keeps the snapshot. */
  void roll(UUID disk, UUID snapshot, Lineage after) throws IOException {
    String prepared = disk + SUFFIX;
    try (RbdImage image = cluster.openWritable(disk.toString())) {
      image.metadata(INTENT, instance);
    }
    prepare(snapshot, prepared);
    try (RbdImage image = cluster.openWritable(prepared)) {
      image.metadata(OWNER, instance);
      image.metadata(RbdImages.RECORD, after.format());
    }
    cluster.discard(disk.toString());
    cluster.rename(prepared, disk.toString());
  }

  private void prepare(UUID snapshot, String prepared) throws IOException {
    try {
      cluster.clone(snapshot.toString(), RbdCluster.SEALED, prepared);
    } catch (CephException e) {
      if (e.errno() != CephException.EEXIST) {
        throw e;
      }
      images.discardRemainder(prepared); // of a rollback of this disk that failed half way
      cluster.clone(snapshot.toString(), RbdCluster.SEALED, prepared);
    }
  }

  /** What a rollback that failed half way may have left behind goes with the disk. */
  void discardPrepared(UUID disk) throws IOException {
    images.discardRemainder(disk + SUFFIX);
  }

  /** Finishes the rollbacks that a crash of this server cut off. */
  void recover(List<String> names) throws IOException {
    for (String name : names) {
      if (name.endsWith(SUFFIX)) {
        Optional<UUID> disk = RbdImages.id(name.substring(0, name.length() - SUFFIX.length()));
        if (disk.isPresent()) {
          recover(name, disk.get(), names.contains(disk.get().toString()));
        }
      }
    }
  }

  private void recover(String name, UUID disk, boolean diskExists) throws IOException {
    try {
      if (diskExists) {
        if (metadata(disk.toString(), INTENT).equals(Optional.of(instance))) {
          images.discardRemainder(name);
          LOG.log(Level.INFO, "dropped a rollback of volume {0} that was cut off", disk);
        }
      } else if (metadata(name, OWNER).equals(Optional.of(instance))
          && metadata(name, RbdImages.RECORD).isPresent()) {
        cluster.rename(name, disk.toString());
        LOG.log(Level.INFO, "finished the rollback of volume {0} that was cut off", disk);
      }
    } catch (CephException e) {
      if (e.errno() != CephException.ENOENT) {
        throw e;
      }
      // Somebody else's, and it went away between the list and the question.
    }
  }

  private Optional<String> metadata(String name, String key) throws IOException {
    try (RbdImage image = cluster.open(name, "")) {
      return image.metadata(key);
    }
  }

  static void requireSnapshotOf(UUID disk, UUID snapshot, Lineage lineage) throws VolumeException {
    if (!lineage.snapshotOf().equals(Optional.of(disk))) {
      throw new VolumeException(
          Reason.NOT_A_SNAPSHOT_OF_DISK,
          "volume " + snapshot + " is not a snapshot of disk " + disk);
    }
  }
}
