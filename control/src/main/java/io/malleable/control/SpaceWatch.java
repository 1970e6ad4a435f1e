package io.malleable.control;

import io.malleable.volume.Capacity;
import java.io.IOException;
import java.time.Duration;

/** Reports a store that fills up before it refuses anything. Owned by the clockwork's thread. */
final class SpaceWatch {
  private static final System.Logger LOG = System.getLogger(SpaceWatch.class.getName());

  /** Percent of the space that is left when a level begins; the last one is the most urgent. */
  private static final int[] LEVELS = {20, 10, 5};

  /** Faster than this no machine fills a store. */
  private static final long FASTEST_BYTES_PER_SECOND = 2L << 30;

  private static final long LEAST_SECONDS = 1;
  private static final long MOST_SECONDS = 60;

  /** Once something was reported, somebody waits for the recovery. */
  private static final long MOST_SECONDS_REPORTED = 10;

  private final Ports ports;
  private final Events events;
  private int reported;

  SpaceWatch(Ports ports, Events events) {
    this.ports = ports;
    this.events = events;
  }

  /**
   * Reports each level once on the way down, and the way back up to where there is enough.
   *
   * @return when to look again, so that the next level is seen before the store is full
   */
  Duration look() {
    Capacity capacity;
    try {
      capacity = ports.volumes().capacity();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "the store does not say how full it is", e);
      return Duration.ofSeconds(MOST_SECONDS);
    }
    int level = level(capacity);
    if (level > reported) {
      events.report(
          "store.filling",
          "The store has "
              + capacity.availableBytes()
              + " of "
              + capacity.totalBytes()
              + " bytes left; delete what is not needed or add space before writes are refused.");
    } else if (level == 0 && reported > 0) {
      events.report("store.recovered", "The store has enough space again.");
    }
    reported = level;
    long seconds = bytesToNextLevel(capacity, level) / FASTEST_BYTES_PER_SECOND;
    long most = level > 0 ? MOST_SECONDS_REPORTED : MOST_SECONDS;
    return Duration.ofSeconds(Math.clamp(seconds, LEAST_SECONDS, most));
  }

  private static long bytesToNextLevel(Capacity capacity, int level) {
    long next = level < LEVELS.length ? capacity.totalBytes() / 100 * LEVELS[level] : 0;
    return Math.max(0, capacity.availableBytes() - next);
  }

  private static int level(Capacity capacity) {
    int level = 0;
    while (level < LEVELS.length
        && capacity.availableBytes() < capacity.totalBytes() / 100 * LEVELS[level]) {
      level++;
    }
    return level;
  }
}
