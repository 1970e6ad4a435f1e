package io.malleable.volume.rbd;

import io.malleable.volume.Capacity;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.rbd.RbdImages.Facts;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * Volumes as images of one RBD pool: image {@code <uuid>} is the volume, with the snapshot {@code
 * sealed} once it is sealed. A snapshot of a disk becomes an image of its own at once, a version 2
 * clone of the disk at that moment, so that every volume has a name of its own and can go on its
 * own; see {@code docs/adr} for the reasons and {@code docs/formats/rbd.md} for what is kept.
 *
 * <p>The metadata key {@code m2.volume} is written last when a volume is made: an image without it
 * is the remainder of a call that a crash cut off and does not count. Deleting moves the image to
 * the pool's trash, which takes its name away at once; the rest is purged in the background as soon
 * as no clone reads from it.
 *
 * <p>Calls on the same volume come after one another, those on different volumes go together. Each
 * ends within {@link RbdConfig#callLimit()}, except a flatten, which takes as long as its data
 * takes and ends when the volume or the store is closed.
 */
public final class RbdVolumeStore implements VolumeStore {
  private final RbdConfig config;
  private final RbdCluster cluster;
  private final RbdImages images;
  private final RbdRollback rollback;
  private final RbdTrash trash;
  private final BoundedCalls bounded;
  private final VolumeCalls calls;
  private final OpenVolumes volumes;
  private final RbdSnapshots snapshots;
  private volatile boolean closing;
  private boolean closed;

  private RbdVolumeStore(RbdConfig config, RbdCluster cluster) {
    this.config = config;
    this.cluster = cluster;
    this.images = new RbdImages(cluster);
    this.rollback = new RbdRollback(cluster, images);
    this.trash = new RbdTrash(cluster);
    this.bounded = new BoundedCalls(config.callLimit().toNanos());
    this.calls = new VolumeCalls(config, bounded);
    this.volumes = new OpenVolumes(cluster, images, bounded);
    this.snapshots = new RbdSnapshots(cluster, images, volumes);
  }

  /**
   * Connects and finishes what a crash of this server left behind.
   *
   * @throws VolumeException {@code UNAVAILABLE} naming the setting that is wrong or the part of the
   *     cluster that does not answer
   */
  public static RbdVolumeStore open(RbdConfig config) throws IOException {
    RbdVolumeStore store = new RbdVolumeStore(config, new RbdCluster(config));
    boolean ready = false;
    try {
      store.rollback.recover(store.namesOfPool());
      store.trash.start();
      store.trash.onDiscarded();
      ready = true;
    } finally {
      if (!ready) {
        store.bounded.close();
        store.cluster.close();
      }
    }
    return store;
  }

  private List<String> namesOfPool() throws IOException {
    try {
      return cluster.names();
    } catch (CephException e) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "store.rbd.pool: the images of pool "
              + config.pool()
              + " cannot be listed; the pool needs 'rbd pool init', and "
              + RbdErrors.capabilities(config),
          e);
    }
  }

  @Override
  public VolumeInfo create(UUID id, long sizeBytes) throws IOException {
    VolumeStore.requireSize(sizeBytes);
    return calls.perform(
        "create",
        id,
        List.of(id),
        List.of(),
        () -> {
          Optional<Facts> existing = images.existing(id);
          if (existing.isPresent()) {
            return sameOrThrow(id, existing.get(), Lineage.root(), sizeBytes);
          }
          cluster.create(id.toString(), sizeBytes);
          try (RbdImage image = cluster.openWritable(id.toString())) {
            image.metadata(RbdImages.RECORD, Lineage.root().format());
          }
          return new VolumeInfo(id, false, sizeBytes, 0, Optional.empty());
        });
  }

  @Override
  public VolumeInfo clone(UUID id, UUID parent, long sizeBytes) throws IOException {
    VolumeStore.requireSize(sizeBytes);
    return calls.perform(
        "clone",
        id,
        List.of(id),
        List.of(parent),
        () -> {
          Facts from = images.requireCached(parent);
          Optional<Facts> existing = images.existing(id);
          if (existing.isPresent()) {
            return sameOrThrow(id, existing.get(), Lineage.cloneOf(parent), sizeBytes);
          }
          if (!from.sealed()) {
            throw new VolumeException(
                Reason.NOT_SEALED, "volume " + parent + " is not sealed, so it cannot be cloned");
          }
          if (sizeBytes < from.sizeBytes()) {
            throw new VolumeException(
                Reason.INVALID_SIZE,
                "a clone of "
                    + parent
                    + " needs at least its "
                    + from.sizeBytes()
                    + " bytes, not "
                    + sizeBytes);
          }
          cloneSealed(parent, id);
          try (RbdImage image = cluster.openWritable(id.toString())) {
            if (sizeBytes > from.sizeBytes()) {
              image.resize(sizeBytes);
            }
            image.metadata(RbdImages.RECORD, Lineage.cloneOf(parent).format());
          }
          return new VolumeInfo(id, false, sizeBytes, 0, Optional.of(parent));
        });
  }

  private void cloneSealed(UUID parent, UUID id) throws IOException {
    try {
      cluster.clone(parent.toString(), RbdCluster.SEALED, id.toString());
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        images.forget(parent);
        throw images.notFound(parent);
      }
      throw e;
    }
  }

  @Override
  public VolumeInfo snapshot(UUID id, UUID disk) throws IOException {
    return calls.perform(
        "snapshot", disk, List.of(id, disk), List.of(), () -> snapshots.take(id, disk));
  }

  @Override
  public VolumeInfo seal(UUID id) throws IOException {
    return calls.perform(
        "seal",
        id,
        List.of(id),
        List.of(),
        () -> {
          if (!images.require(id).sealed()) {
            volumes.requireClosed(id);
            try (RbdImage image = cluster.openWritable(id.toString())) {
              image.snapshot(RbdCluster.SEALED);
            }
          }
          return images.requireInfo(id);
        });
  }

  @Override
  public VolumeInfo rollback(UUID disk, UUID snapshot) throws IOException {
    return calls.perform(
        "rollback",
        disk,
        List.of(disk),
        List.of(snapshot),
        () -> {
          images.require(disk);
          Facts moment = images.requireCached(snapshot);
          volumes.requireClosed(disk);
          RbdRollback.requireSnapshotOf(disk, snapshot, moment.lineage());
          // The parent of that moment as well: a flatten in between is undone like all else.
          Lineage after = new Lineage(moment.lineage().parent(), Optional.empty());
          rollback.roll(disk, snapshot, after);
          trash.onDiscarded();
          return new VolumeInfo(disk, false, moment.sizeBytes(), 0, after.parent());
        });
  }

  @Override
  public VolumeInfo resize(UUID disk, long sizeBytes) throws IOException {
    VolumeStore.requireSize(sizeBytes);
    return calls.perform(
        "resize",
        disk,
        List.of(disk),
        List.of(),
        () -> {
          Facts facts = volumes.facts(disk);
          if (facts.sealed()) {
            throw new VolumeException(
                Reason.SEALED, "volume " + disk + " is sealed and cannot be resized");
          }
          if (sizeBytes < facts.sizeBytes()) {
            throw new VolumeException(
                Reason.INVALID_SIZE,
                "volume "
                    + disk
                    + " has "
                    + facts.sizeBytes()
                    + " bytes and cannot shrink to "
                    + sizeBytes);
          }
          volumes.withImage(disk, image -> image.resize(sizeBytes));
          RbdVolume open = volumes.writable(disk);
          if (open != null) {
            open.onResized(sizeBytes);
          }
          return images.requireInfo(disk);
        });
  }

  @Override
  public void flatten(UUID disk) throws IOException {
    flatten(disk, TransferProgress.NONE);
  }

  @Override
  public void flatten(UUID disk, TransferProgress progress) throws IOException {
    try (VolumeLocks.Held _ = calls.enter("flatten", List.of(disk), List.of())) {
      Facts facts = volumes.facts(disk);
      if (facts.sealed()) {
        throw new VolumeException(
            Reason.SEALED, "volume " + disk + " is sealed and cannot be flattened");
      }
      RbdVolume open = volumes.writable(disk);
      volumes.withImage(
          disk,
          image -> {
            // A crash after the copy leaves a record that names a parent which RBD knows no more.
            if (image.parentId().isPresent()) {
              new RbdFlattening(
                      disk, image, progress, () -> closing || (open != null && open.closeAsked()))
                  .copyUp();
            }
            image.metadata(RbdImages.RECORD, Lineage.root().format());
          });
      if (open != null) {
        open.onLineage(Lineage.root());
      }
      trash.onDetached();
    } catch (CephException e) {
      throw RbdErrors.translated(config, disk, e);
    }
  }

  @Override
  public void delete(UUID id) throws IOException {
    calls.perform(
        "delete",
        id,
        List.of(id),
        List.of(),
        () -> {
          Optional<Facts> facts = images.existingOrDamaged(id);
          if (facts.isPresent()) {
            volumes.requireClosed(id);
            if (facts.get().sealed()) {
              images.requireNoDependants(id);
            } else {
              rollback.discardPrepared(id);
            }
            images.forget(id);
            cluster.discard(id.toString());
          }
          trash.onDiscarded();
          return true;
        });
  }

  @Override
  public Optional<VolumeInfo> find(UUID id) throws IOException {
    return calls.perform("inspection", id, List.of(), List.of(), () -> images.find(id));
  }

  /**
   * A volume whose record cannot be understood is left out, and named in the log. Only disks, and
   * what was not seen before, are looked at one by one.
   */
  @Override
  public List<VolumeInfo> list() throws IOException {
    List<VolumeInfo> infos = new ArrayList<>();
    for (UUID id : calls.ofPool("the list", images::lineages).keySet()) {
      try {
        calls
            .perform("inspection", id, List.of(), List.of(), () -> images.findCached(id))
            .ifPresent(infos::add);
      } catch (VolumeException e) {
        RbdImages.requireUnreadable(e);
      }
    }
    return infos;
  }

  @Override
  public Set<UUID> usable(Collection<UUID> ids) throws IOException {
    Set<UUID> usable = new HashSet<>(ids);
    usable.retainAll(calls.ofPool("the list", images::lineages).keySet());
    return usable;
  }

  @Override
  public Capacity capacity() throws IOException {
    return calls.ofPool("the space", cluster::capacity);
  }

  @Override
  public Volume open(UUID id) throws IOException {
    return calls.perform(
        "open", "volume " + id, List.of(id), List.of(), () -> volumes.open(id), RbdVolume::close);
  }

  /**
   * Ends what can be ended and waits for the rest up to the limit of a call; a volume that cannot
   * be closed keeps neither the others nor the purge from it. What still uses the connection after
   * that keeps it until the process ends.
   */
  @Override
  public void close() throws IOException {
    closing = true;
    List<IOException> failures = new ArrayList<>();
    boolean idle = calls.end();
    synchronized (bounded) {
      if (closed) {
        return;
      }
      closed = true;
      volumes.close(failures);
      attempt(failures, trash::close);
      bounded.close();
      if (idle) {
        attempt(failures, cluster::close);
      } else {
        failures.add(
            new IOException("calls to the Ceph cluster are still under way; see 'ceph -s'"));
      }
    }
    if (!failures.isEmpty()) {
      IOException first = new IOException("the volume store was not closed cleanly");
      failures.forEach(first::addSuppressed);
      throw first;
    }
  }

  interface Step {
    void run() throws IOException;
  }

  static void attempt(List<IOException> failures, Step step) {
    try {
      step.run();
    } catch (IOException e) {
      failures.add(e);
    }
  }

  /** A repeated call finds its own result; anything else under that id is somebody else's. */
  private VolumeInfo sameOrThrow(UUID id, Facts existing, Lineage lineage, long sizeBytes)
      throws IOException {
    if (existing.lineage().equals(lineage) && existing.sizeBytes() == sizeBytes) {
      return images.requireInfo(id);
    }
    throw new VolumeException(
        Reason.ALREADY_EXISTS, "volume " + id + " exists with another size or origin");
  }
}
