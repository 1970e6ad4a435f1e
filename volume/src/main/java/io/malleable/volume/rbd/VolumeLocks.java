package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Which call works on which volumes, so that a long one keeps only its own volumes from others.
 * Thread-safe; a lock may be given back by another thread than the one that took it.
 */
final class VolumeLocks {
  private final Map<UUID, Holders> held = new HashMap<>();
  private final long limitNanos;

  /** Either one call that changes the volume, or any number that only need it to stay. */
  private record Holders(String what, int sharing) {
    boolean exclusive() {
      return sharing == 0;
    }
  }

  VolumeLocks(long limitNanos) {
    this.limitNanos = limitNanos;
  }

  /** Locks that were taken together. */
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Waits until nobody else works on these volumes, up to the limit.
   *
   * @param what the call, for the message that others get
   * @param changed volumes that the call changes
   * @param kept volumes that must stay as they are during the call
   * @throws VolumeException {@code IN_USE} naming what works on the volume
   */
  synchronized Held take(String what, List<UUID> changed, List<UUID> kept) throws VolumeException {
    long deadline = System.nanoTime() + limitNanos;
    while (true) {
      UUID busy = busy(changed, kept);
      if (busy == null) {
        changed.forEach(id -> held.put(id, new Holders(what, 0)));
        kept.forEach(
            id -> held.merge(id, new Holders(what, 1), (a, b) -> new Holders(what, a.sharing + 1)));
        return () -> release(changed, kept);
      }
      long left = deadline - System.nanoTime();
      if (left <= 0) {
        throw inUse(busy);
      }
      try {
        TimeUnit.NANOSECONDS.timedWait(this, left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw inUse(busy);
      }
    }
  }

  private VolumeException inUse(UUID id) {
    Holders holders = held.get(id);
    return new VolumeException(
        Reason.IN_USE,
        "volume "
            + id
            + " is busy"
            + (holders == null ? "" : ": " + holders.what() + " is under way")
            + "; try again when that has ended");
  }

  private @Nullable UUID busy(List<UUID> changed, List<UUID> kept) {
    for (UUID id : changed) {
      if (held.containsKey(id)) {
        return id;
      }
    }
    for (UUID id : kept) {
      Holders holders = held.get(id);
      if (holders != null && holders.exclusive()) {
        return id;
      }
    }
    return null;
  }

  private synchronized void release(List<UUID> changed, List<UUID> kept) {
    changed.forEach(held::remove);
    kept.forEach(id ->
        held.computeIfPresent(
            id,
            (_, holders) ->
                holders.sharing() == 1
                    ? null
                    : new Holders(holders.what(), holders.sharing() - 1)));
    notifyAll();
  }
}
