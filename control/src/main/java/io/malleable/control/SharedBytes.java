package io.malleable.control;

import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Adds up what is stored once for several volumes. The store is asked about each of them once a
 * minute at most, whoever asks how often: there may be thousands, on the other side of a network.
 * Safe for all threads.
 */
final class SharedBytes {
  private static final Duration KEPT = Duration.ofMinutes(1);

  private final Ports ports;
  private final PatientStore store;
  private final Lock lock = new ReentrantLock();
  private final Map<UUID, Long> known = new HashMap<>();
  private Instant forgetAt = Instant.MIN;

  SharedBytes(Ports ports, PatientStore store) {
    this.ports = ports;
    this.store = store;
  }

  /**
   * The sum over all images and snapshots that others build on; damaged ones do not count.
   *
   * @throws ControlException STORE_UNAVAILABLE
   */
  long sum() {
    List<UUID> bases = ports.database().read(Rows::builtOn);
    try {
      if (!store.tryLock(lock)) {
        throw Failures.storeUnavailable("it is still being asked about what is shared");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Failures.storeUnavailable("interrupted while it was asked").causedBy(e);
    }
    try {
      return sum(bases);
    } finally {
      lock.unlock();
    }
  }

  private long sum(List<UUID> bases) {
    if (!ports.clock().instant().isBefore(forgetAt)) {
      known.clear();
      // What is known when the store stops answering saves the next caller from asking again.
      forgetAt = Instant.MAX;
    }
    VolumeCheck check = new VolumeCheck(ports.database(), store);
    long sum = 0;
    for (UUID base : bases) {
      Long bytes = known.get(base);
      if (bytes == null) {
        Measure measure = check.base(base);
        check
            .outage()
            .ifPresent(why -> {
              throw Failures.storeUnavailable(why);
            });
        bytes = measure.allocatedBytes().orElse(0L);
        known.put(base, bytes);
      }
      sum += bytes;
    }
    if (forgetAt.equals(Instant.MAX)) {
      forgetAt = ports.clock().instant().plus(KEPT);
    }
    return sum;
  }
}
