package io.malleable.control;

import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Counts what cannot be used. The store is asked about all of it once a minute at most, whoever
 * asks how often, and until it has answered the answer before is shown; what was deleted since does
 * not count. Safe for all threads.
 */
final class DamagedVolumes {
  private static final Duration KEPT = Duration.ofMinutes(1);

  private final Ports ports;
  private final PatientStore store;
  private @Nullable CompletableFuture<Set<UUID>> underWay;

  /** What the latest look that ended well found. */
  private @Nullable Set<UUID> latest;

  private Instant againAt = Instant.MIN;

  DamagedVolumes(Ports ports, PatientStore store) {
    this.ports = ports;
    this.store = store;
  }

  /**
   * How many there are of each over all projects.
   *
   * @throws ControlException STORE_UNAVAILABLE, also while the store is still being looked through
   *     for the first time; IO_FAILED
   */
  VolumesByKind count() {
    Set<UUID> damaged;
    try {
      damaged = found();
    } catch (TimeoutException e) {
      throw Failures.storeUnavailable("it is still being asked about all volumes").causedBy(e);
    } catch (IOException e) {
      throw Failures.of(e);
    }
    return ports.database().read(rows -> VolumeCheck.count(rows, damaged));
  }

  /** Of a look that is under way, or a new one, or of the latest while that is fresh. */
  private Set<UUID> found() throws IOException, TimeoutException {
    CompletableFuture<Set<UUID>> look;
    Set<UUID> known;
    synchronized (this) {
      known = latest;
      look = underWay;
      boolean idle = look == null || look.isDone();
      if (known != null && (!idle || ports.clock().instant().isBefore(againAt))) {
        return known;
      }
      if (look == null || idle) {
        look = store.begin(this::damaged).whenComplete((found, _) -> onEnd(found));
        underWay = look;
      }
    }
    try {
      return store.await(look);
    } catch (TimeoutException e) {
      if (known != null) {
        return known;
      }
      throw e;
    }
  }

  /** A minute from now on: a look may take longer than that. */
  private synchronized void onEnd(@Nullable Set<UUID> found) {
    if (found != null) {
      latest = found;
      againAt = ports.clock().instant().plus(KEPT);
    }
  }

  private Set<UUID> damaged(VolumeStore volumes) throws IOException {
    Set<UUID> suspects = new HashSet<>();
    ports
        .database()
        .read(rows -> {
          suspects.addAll(rows.images().ids());
          suspects.addAll(rows.disks().ids());
          suspects.addAll(rows.snapshots().ids());
          return true;
        });
    suspects.removeAll(volumes.usable(Set.copyOf(suspects)));
    // Again: what was only being made then is not among those that are there now, and one that is
    // rolled back may have had no name for a moment.
    ports
        .database()
        .read(rows ->
            suspects.removeIf(id ->
                !VolumeCheck.hasImage(rows, id)
                    && !VolumeCheck.hasDisk(rows, id)
                    && !VolumeCheck.hasSnapshot(rows, id)));
    if (!suspects.isEmpty()) {
      suspects.removeAll(volumes.usable(Set.copyOf(suspects)));
    }
    return suspects;
  }
}
