package io.malleable.control;

import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Purges what has been in the trash for too long. What cannot be purged is tried again, each time
 * after twice as long. Owned by the clockwork's thread.
 */
final class TrashPurge {
  private static final System.Logger LOG = System.getLogger(TrashPurge.class.getName());
  private static final int AT_ONCE = 100;
  private static final Duration FIRST_PAUSE = Duration.ofMinutes(1);
  private static final Duration LONGEST_PAUSE = Duration.ofDays(1);

  private final Ports ports;
  private final Disks disks;
  private final Map<UUID, Retry> failed = new HashMap<>();

  private record Retry(Instant at, Duration pause) {}

  TrashPurge(Ports ports, Disks disks) {
    this.ports = ports;
    this.disks = disks;
  }

  /** Purges what was put there before that moment. */
  void purgeBefore(Instant moment) {
    Instant now = ports.clock().instant();
    // What failed must not take the place of what would not.
    int limit = AT_ONCE + failed.size();
    List<Disk> expired = ports.database().read(rows -> rows.disks().trashedBefore(moment, limit));
    Set<UUID> still = new HashSet<>();
    for (Disk disk : expired) {
      still.add(disk.id());
      Retry retry = failed.get(disk.id());
      if (retry != null && now.isBefore(retry.at())) {
        continue;
      }
      if (purge(disk)) {
        failed.remove(disk.id());
      } else {
        Duration pause = retry == null ? FIRST_PAUSE : longer(retry.pause());
        failed.put(disk.id(), new Retry(now.plus(pause), pause));
      }
    }
    failed.keySet().retainAll(still);
  }

  private static Duration longer(Duration pause) {
    Duration twice = pause.multipliedBy(2);
    return twice.compareTo(LONGEST_PAUSE) < 0 ? twice : LONGEST_PAUSE;
  }

  /** Whether it is gone or soon will be. */
  private boolean purge(Disk disk) {
    try {
      Operation operation =
          disks.delete(disk.projectId(), disk.id().toString(), Disks.Deletion.PURGE);
      return operation.state() != OperationState.FAILED;
    } catch (ControlException e) {
      // Undeleted or purged by somebody a moment ago; if not, it is still there next time.
      LOG.log(System.Logger.Level.INFO, "not purged: " + disk.name(), e);
      return false;
    }
  }
}
