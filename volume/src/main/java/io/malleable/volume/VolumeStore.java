package io.malleable.volume;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * Keeps volumes. A volume is <em>writable</em> (a disk) or <em>sealed</em> (an image or a snapshot:
 * its content never changes again). Clone, snapshot, rollback and seal take constant time, whatever
 * the size and the depth of the chain.
 *
 * <p>Ids are chosen by the caller, so that an operation that was cut off by a crash can be
 * repeated: a call that finds its own result already in place (same id, same arguments) returns it
 * and changes nothing; {@link #delete} of an absent volume succeeds. When a call returns, its
 * effect is durable. All methods may be called from any thread.
 *
 * <p>Errors: {@link VolumeException} with a {@link VolumeException.Reason} for what a caller can
 * get wrong or must know; any other {@link IOException} means that the storage below failed.
 */
public interface VolumeStore extends AutoCloseable {
  /** Sizes are multiples of this. */
  int SECTOR_BYTES = 512;

  /** 1 PiB; no volume is larger, in whichever store. */
  long MAX_SIZE_BYTES = 1L << 50;

  /** Refuses with {@code INVALID_SIZE} what no volume can have. */
  static void requireSize(long sizeBytes) throws VolumeException {
    if (sizeBytes <= 0 || sizeBytes % SECTOR_BYTES != 0 || sizeBytes > MAX_SIZE_BYTES) {
      throw new VolumeException(
          VolumeException.Reason.INVALID_SIZE,
          "size %d must be a positive multiple of %d, at most %d"
              .formatted(sizeBytes, SECTOR_BYTES, MAX_SIZE_BYTES));
    }
  }

  /**
   * An empty, writable volume that reads as zeroes. {@code sizeBytes} is a positive multiple of
   * {@link #SECTOR_BYTES}, at most {@link #MAX_SIZE_BYTES}.
   */
  VolumeInfo create(UUID id, long sizeBytes) throws IOException;

  /**
   * A writable copy-on-write child of a sealed volume; {@code sizeBytes} is at least the parent's.
   */
  VolumeInfo clone(UUID id, UUID parent, long sizeBytes) throws IOException;

  /**
   * A sealed volume with the content that the disk has at one moment during the call; the disk may
   * be open and busy. Every write answered before the call is in it, each concurrent write wholly
   * or not at all.
   */
  VolumeInfo snapshot(UUID id, UUID disk) throws IOException;

  /** Makes a writable volume immutable, for good; refused while it is open for writing. */
  VolumeInfo seal(UUID id) throws IOException;

  /** Gives the disk the content of one of its own snapshots again; refused while it is open. */
  VolumeInfo rollback(UUID disk, UUID snapshot) throws IOException;

  /** Grows a writable volume, open or not; shrinking is refused. */
  VolumeInfo resize(UUID disk, long sizeBytes) throws IOException;

  /**
   * Copies what the disk shares with its ancestors into the disk itself, which has no parent
   * afterwards. Refused with {@code OUT_OF_SPACE}, before anything is copied, when it would take
   * what machines may want to write.
   */
  void flatten(UUID disk) throws IOException;

  /**
   * The same, watched: the bytes are those to copy. When it ends early, by {@code CANCELLED} or an
   * error, the disk has its content and its parent as before, and keeps what was copied; called
   * again, it goes on there. A store that cannot be watched does it without.
   */
  default void flatten(UUID disk, TransferProgress progress) throws IOException {
    flatten(disk);
  }

  /**
   * Frees the volume. Refused while it is open, and while a volume that was cloned from it lives
   * ({@code HAS_DEPENDANTS} names them); a snapshot whose disk has written on may go at any time.
   */
  void delete(UUID id) throws IOException;

  Optional<VolumeInfo> find(UUID id) throws IOException;

  List<VolumeInfo> list() throws IOException;

  /**
   * What {@link #find} says of these volumes, for a store that can look up many for little more
   * than one. Any may be left out, such as those that cannot be used: {@code find} says why.
   */
  default Map<UUID, VolumeInfo> findMany(Collection<UUID> ids) throws IOException {
    return Map.of();
  }

  /**
   * Those of these volumes that are there and can be used, as far as the store knows without
   * reading their content; the log says of the others what failed. A store that has to ask for each
   * overrides this with something cheaper.
   *
   * @throws VolumeException {@code UNAVAILABLE} when the store does not answer
   */
  default Set<UUID> usable(Collection<UUID> ids) throws IOException {
    Set<UUID> usable = new HashSet<>();
    for (UUID id : ids) {
      try {
        find(id).ifPresent(_ -> usable.add(id));
      } catch (VolumeException e) {
        if (e.reason() == VolumeException.Reason.UNAVAILABLE) {
          throw e;
        }
      } catch (NoSuchFileException e) {
        // Lost, which is what is to be found out.
      } catch (IOException e) {
        System.getLogger(VolumeStore.class.getName())
            .log(System.Logger.Level.WARNING, "volume " + id + " cannot be used", e);
      }
    }
    return usable;
  }

  /**
   * Opens a volume for I/O. A writable volume has at most one open handle in all processes that
   * share the store; a sealed one any number, all read-only.
   */
  Volume open(UUID id) throws IOException;

  /**
   * Disks that may lack writes that were acknowledged and not flushed, because the host of the
   * store went down while they were written to. A machine that lived on must not go on over them.
   * Each is named, over restarts too, until {@link #forgetLostWrites}. A store that keeps what it
   * acknowledges when its host goes down has none.
   */
  default Set<UUID> lostWrites() throws IOException {
    return Set.of();
  }

  /** Whoever wrote to the disk can no longer; durable when this returns. Absent disks are fine. */
  default void forgetLostWrites(UUID disk) throws IOException {}

  /**
   * Volumes in use whose storage failed, by id: they are read, and take no writes until they have
   * recovered. From memory; empty for a store whose storage answers for itself.
   */
  default Map<UUID, VolumeFault> faults() {
    return Map.of();
  }

  Capacity capacity() throws IOException;

  /** What can still be written, as in {@link #capacity}; for callers that ask often. */
  default long availableBytes() throws IOException {
    return capacity().availableBytes();
  }

  /** Flushes and closes every open volume, and the store. */
  @Override
  void close() throws IOException;
}
