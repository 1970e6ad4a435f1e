package io.malleable.app;

import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.function.BiConsumer;
import java.util.function.IntSupplier;

/**
 * Reports that the process is about to run out of descriptors, once until there are enough again.
 */
final class DescriptorWatch {
  private static final System.Logger LOG = System.getLogger(DescriptorWatch.class.getName());
  static final Duration PAUSE = Duration.ofSeconds(5);
  private static final int SCARCE_PERCENT = 80;
  private static final int ENOUGH_PERCENT = 70;

  private final IntSupplier open;
  private final int limit;
  private final BiConsumer<String, String> events;

  /** Owned by the thread that looks. */
  private boolean reported;

  /**
   * A watch that looks when it is told to.
   *
   * @param open how many there are
   * @param events take the kind and the message of an event
   */
  DescriptorWatch(IntSupplier open, int limit, BiConsumer<String, String> events) {
    this.open = open;
    this.limit = limit;
    this.events = events;
  }

  void look() {
    long percent = 100L * open.getAsInt() / limit;
    if (!reported && percent > SCARCE_PERCENT) {
      String message =
          "The server has %d %% of its %d open files in use; at the limit it takes no more connections. See m2 status for whose they are, and raise the limit."
              .formatted(percent, limit);
      LOG.log(Level.WARNING, message);
      events.accept("descriptors.scarce", message);
      reported = true;
    } else if (reported && percent < ENOUGH_PERCENT) {
      events.accept("descriptors.recovered", "The server has enough open files to spare again.");
      reported = false;
    }
  }
}
