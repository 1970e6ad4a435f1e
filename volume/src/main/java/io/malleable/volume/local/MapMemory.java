package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/**
 * How much of the heap the maps of layers in use take. A disk that is written to, or whose blocks
 * are discarded, in the worst possible pattern must not take the memory of all others.
 */
final class MapMemory {
  private static final int DISKS = 3;

  private final long limitBytes;
  private final AtomicLong usedBytes = new AtomicLong();

  /**
   * None used yet.
   *
   * @param limitBytes of all maps together; of one disk a third of it
   */
  MapMemory(long limitBytes) {
    this.limitBytes = limitBytes;
  }

  static MapMemory unlimited() {
    return new MapMemory(Long.MAX_VALUE);
  }

  void add(long bytes) {
    usedBytes.addAndGet(bytes);
  }

  /** Refuses a change that may make the map of the disk's layer larger. */
  void requireRoom(BlockMap map, UUID disk) throws VolumeException {
    long own = map.heapBytes();
    if (own > limitBytes / DISKS) {
      throw new VolumeException(
          Reason.TOO_FRAGMENTED,
          "disk %s is written, or discarded, in so many small pieces that its map takes %d MiB; %d are the most. Copy it to a new disk, or give the server more memory"
              .formatted(disk, own >> 20, (limitBytes / DISKS) >> 20));
    }
    requireRoom("disk " + disk + " takes no new blocks");
  }

  /** Refuses what needs more memory when all have taken too much together. */
  void requireRoom(String what) throws VolumeException {
    long used = usedBytes.get();
    if (used > limitBytes) {
      throw new VolumeException(
          Reason.TOO_FRAGMENTED,
          "%s: the maps of disks and snapshots in use take %d MiB, %d are the most. Release what is not needed, or give the server more memory"
              .formatted(what, used >> 20, limitBytes >> 20));
    }
  }
}
