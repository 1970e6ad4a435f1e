package io.malleable.control;

import io.malleable.volume.VolumeFault;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Volumes whose storage failed: counts them, and reports each disk once when it fails, when its
 * recovery begins and when it takes writes again. The counts may be asked for by any thread; {@link
 * #look} is the clockwork's.
 */
final class FailedVolumes {
  static final String FAILED = "disk.failed";
  static final String RECOVERING = "disk.recovering";
  static final String RECOVERED = "disk.recovered";
  static final String CLOSED = "disk.closed";

  private final Ports ports;

  /** Whose failure was reported and has not ended; in order of time: failed, then recovering. */
  private final Map<UUID, Reported> reported = new HashMap<>();

  private boolean begun;

  private enum Reported {
    FAILED,
    RECOVERING
  }

  FailedVolumes(Ports ports) {
    this.ports = ports;
  }

  /** How many there are now, from memory. */
  int count() {
    return ports.volumes().faults().size();
  }

  /** How many there are of each now. */
  VolumesByKind countByKind() {
    Set<UUID> failed = ports.volumes().faults().keySet();
    return failed.isEmpty()
        ? VolumesByKind.NONE
        : ports.database().read(rows -> VolumeCheck.count(rows, failed));
  }

  /**
   * Reports what has changed since the last look. The first one goes on from what a server before
   * this one has reported: a failure that it did not live to see the end of is over when the volume
   * is well now.
   */
  void look() {
    if (!begun) {
      ports
          .database()
          .read(rows -> rows.events().lasting(FAILED, Set.of(RECOVERED, CLOSED)))
          .forEach(disk -> reported.put(disk, Reported.FAILED));
      begun = true;
    }
    Map<UUID, VolumeFault> faults = ports.volumes().faults();
    Map<UUID, Reported> now = new HashMap<>();
    faults.forEach((disk, fault) -> now.put(disk, stage(disk, fault)));
    if (now.equals(reported)) {
      return;
    }
    Set<UUID> served = ports.targets().defined();
    ports
        .database()
        .change(rows -> {
          Instant at = ports.clock().instant();
          now.forEach((disk, stage) -> report(rows, at, disk, stage, faults));
          Set<UUID> over = new HashSet<>(reported.keySet());
          over.removeAll(now.keySet());
          over.forEach(disk -> reportEnd(rows, at, disk, served.contains(disk)));
        });
    reported.clear();
    reported.putAll(now);
  }

  /** A recovery that fails and begins again is one recovery. */
  private Reported stage(UUID disk, VolumeFault fault) {
    boolean recovering =
        fault.recoveredPercent().isPresent() || reported.get(disk) == Reported.RECOVERING;
    return recovering ? Reported.RECOVERING : Reported.FAILED;
  }

  private void report(
      Rows rows, Instant at, UUID disk, Reported stage, Map<UUID, VolumeFault> faults) {
    Reported before = reported.get(disk);
    VolumeFault fault = faults.get(disk);
    if (before == null && fault != null) {
      Events.appendOfDisk(
          rows,
          at,
          disk,
          FAILED,
          "takes no writes since "
              + fault.since()
              + ", as its storage failed: "
              + fault.cause()
              + ". It is read as before. Look at the drive under the store, and at the kernel's log.");
    }
    if (stage == Reported.RECOVERING && before != Reported.RECOVERING) {
      Events.appendOfDisk(
          rows,
          at,
          disk,
          RECOVERING,
          "is recovering: what its storage may have lost is written once more.");
    }
  }

  private static void reportEnd(Rows rows, Instant at, UUID disk, boolean served) {
    if (served) {
      Events.appendOfDisk(rows, at, disk, RECOVERED, "takes writes again.");
    } else {
      Events.appendOfDisk(
          rows,
          at,
          disk,
          CLOSED,
          "is not in use any more, and its storage had failed: it is tried anew when it is used.");
    }
  }
}
