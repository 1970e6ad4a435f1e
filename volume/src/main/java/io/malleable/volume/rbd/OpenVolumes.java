package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.rbd.RbdImages.Facts;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The volumes that this process has open. Thread-safe; the caller holds the volume's lock. */
final class OpenVolumes {
  private final RbdCluster cluster;
  private final RbdImages images;
  private final BoundedCalls calls;
  private final Map<UUID, RbdVolume> writable = new ConcurrentHashMap<>();
  private final Map<RbdVolume, UUID> sealed = new ConcurrentHashMap<>();

  OpenVolumes(RbdCluster cluster, RbdImages images, BoundedCalls calls) {
    this.cluster = cluster;
    this.images = images;
    this.calls = calls;
  }

  /** The open handle of a disk, if there is one. */
  @Nullable RbdVolume writable(UUID disk) {
    return writable.get(disk);
  }

  RbdVolume open(UUID id) throws IOException {
    Facts facts = images.require(id);
    if (facts.sealed()) {
      RbdImage image = cluster.open(id.toString(), RbdCluster.SEALED);
      RbdVolume volume = volume(id, facts, image, sealed::remove);
      sealed.put(volume, id);
      return volume;
    }
    requireClosed(id);
    RbdImage image = cluster.openWritable(id.toString());
    boolean locked = false;
    try {
      ExclusiveLock.take(id, image);
      // What a snapshot left behind that a crash cut off: nothing else names a snapshot by an id.
      for (String moment : image.snapshots()) {
        if (RbdImages.id(moment).isPresent()) {
          image.removeSnapshot(moment);
        }
      }
      locked = true;
    } finally {
      if (!locked) {
        image.close();
      }
    }
    RbdVolume volume = volume(id, facts, image, closed -> writable.remove(id, closed));
    writable.put(id, volume);
    return volume;
  }

  private RbdVolume volume(UUID id, Facts facts, RbdImage image, Consumer<RbdVolume> onClose)
      throws IOException {
    boolean opened = false;
    try {
      RbdVolume volume = new RbdVolume(id, facts, image, calls, onClose);
      opened = true;
      return volume;
    } finally {
      if (!opened) {
        image.close();
      }
    }
  }

  /** What the disk is, from its open handle if there is one. */
  Facts facts(UUID disk) throws IOException {
    RbdVolume open = writable.get(disk);
    return open != null ? open.facts() : images.require(disk);
  }

  void requireClosed(UUID id) throws VolumeException {
    if (writable.containsKey(id) || sealed.containsValue(id)) {
      throw new VolumeException(Reason.IN_USE, "volume " + id + " is open");
    }
  }

  /**
   * Runs the call on the open handle if there is one: only the lock's holder may take a snapshot
   * without being asked to.
   */
  void withImage(UUID disk, RbdVolume.Use call) throws IOException {
    RbdVolume open = writable.get(disk);
    if (open != null) {
      open.use(call);
      return;
    }
    try (RbdImage image = cluster.openWritable(disk.toString())) {
      call.run(image);
    }
  }

  /** Closes all of them together. */
  void close(List<IOException> failures) {
    List<RbdVolume> open = new ArrayList<>(writable.values());
    open.addAll(sealed.keySet());
    List<Thread> threads = new ArrayList<>();
    List<IOException> failed = Collections.synchronizedList(failures);
    for (RbdVolume volume : open) {
      threads.add(Thread.startVirtualThread(() -> RbdVolumeStore.attempt(failed, volume::close)));
    }
    for (Thread thread : threads) {
      RbdVolumeStore.attempt(failed, () -> join(thread));
    }
  }

  private static void join(Thread thread) throws IOException {
    try {
      thread.join(); // closing a volume is limited
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while volumes were closed", e);
    }
  }
}
