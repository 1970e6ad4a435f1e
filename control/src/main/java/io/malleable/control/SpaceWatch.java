package io.malleable.control;

import io.malleable.volume.Capacity;
import java.io.IOException;

/** Reports a store that fills up before it refuses anything. Owned by the clockwork's thread. */
final class SpaceWatch {
  private static final System.Logger LOG = System.getLogger(SpaceWatch.class.getName());

  /** Percent of the space that is left when a level begins; the last one is the most urgent. */
  private static final int[] LEVELS = {20, 10, 5};

  private final Ports ports;
  private final Events events;
  private int reported;

  SpaceWatch(Ports ports, Events events) {
    this.ports = ports;
    this.events = events;
  }

  /** Reports each level once on the way down, and the way back up to where there is enough. */
  void look() {
    Capacity capacity;
    try {
      capacity = ports.volumes().capacity();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "the store does not say how full it is", e);
      return;
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
