package io.malleable.control;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/**
 * Counts what cannot be used. The store is asked about all of it once a minute at most, whoever
 * asks how often; what was deleted since does not count. Safe for all threads.
 */
final class DamagedVolumes {
  private static final Duration KEPT = Duration.ofMinutes(1);

  private final Ports ports;
  private final Lock lock = new ReentrantLock();
  private Set<UUID> known = Set.of();
  private Instant forgetAt = Instant.MIN;

  DamagedVolumes(Ports ports) {
    this.ports = ports;
  }

  /**
   * How many there are of each over all projects.
   *
   * @throws ControlException STORE_UNAVAILABLE, IO_FAILED
   */
  Damaged count() {
    Set<UUID> damaged = known();
    return ports
        .database()
        .read(rows ->
            new Damaged(
                count(damaged, id -> VolumeCheck.hasImage(rows, id)),
                count(damaged, id -> VolumeCheck.hasDisk(rows, id)),
                count(damaged, id -> VolumeCheck.hasSnapshot(rows, id))));
  }

  private static long count(Set<UUID> damaged, Predicate<UUID> made) {
    return damaged.stream().filter(made).count();
  }

  private Set<UUID> known() {
    lock.lock();
    try {
      Instant now = ports.clock().instant();
      if (!now.isBefore(forgetAt)) {
        known = look();
        forgetAt = now.plus(KEPT);
      }
      return known;
    } catch (IOException e) {
      throw Failures.of(e);
    } finally {
      lock.unlock();
    }
  }

  private Set<UUID> look() throws IOException {
    Set<UUID> suspects = new HashSet<>();
    ports
        .database()
        .read(rows -> {
          for (List<UUID> ids :
              List.of(rows.images().ids(), rows.disks().ids(), rows.snapshots().ids())) {
            suspects.addAll(ids);
          }
          return true;
        });
    // Twice: a volume may have no name for a moment while it is rolled back.
    for (int look = 0; look < 2 && !suspects.isEmpty(); look++) {
      suspects.removeAll(ports.volumes().usable(suspects));
    }
    return suspects;
  }
}
