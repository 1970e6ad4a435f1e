package io.malleable.app;

import io.malleable.control.Events;
import io.malleable.volume.VolumeException;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Reports that machines' writes are refused because the store is full, or because their disk is in
 * too many pieces. At most once a minute each, whatever they write, and never on the thread that
 * serves them: the database may be slow now.
 */
final class FullStoreReports {
  private static final System.Logger LOG = System.getLogger(FullStoreReports.class.getName());
  private static final Duration PAUSE = Duration.ofMinutes(1);

  private final InstantSource clock;
  private final AtomicReference<Instant> fullDue = new AtomicReference<>(Instant.MIN);
  private final AtomicReference<Instant> fragmentedDue = new AtomicReference<>(Instant.MIN);
  private volatile @Nullable Events events;

  FullStoreReports(InstantSource clock) {
    this.clock = clock;
  }

  void connect(Events connected) {
    events = connected;
  }

  /** A write to this disk was refused for lack of room. */
  void onRefusal(UUID disk, VolumeException why) {
    boolean fragmented = why.reason() == VolumeException.Reason.TOO_FRAGMENTED;
    AtomicReference<Instant> due = fragmented ? fragmentedDue : fullDue;
    Events to = events;
    Instant now = clock.instant();
    Instant before = due.get();
    if (to == null || now.isBefore(before) || !due.compareAndSet(before, now.plus(PAUSE))) {
      return;
    }
    // Every project sees the event; whose machine it was is for the log only.
    LOG.log(Level.WARNING, "a write to the disk {0} was refused: {1}", disk, why.getMessage());
    Thread.ofVirtual()
        .name("full-store-report")
        .start(fragmented ? () -> reportFragmented(to) : () -> reportFull(to));
  }

  private static void reportFull(Events events) {
    report(
        events,
        "store.full",
        "The store is full: a machine's write was refused, and so is all that needs more space;"
            + " delete what is not needed or add space.");
  }

  private static void reportFragmented(Events events) {
    report(
        events,
        "disk.fragmented",
        "A machine's write or discard was refused: its disk is in so many pieces that the server has"
            + " no memory for more of them. The log names the disk; copy it to a new one, or give the"
            + " server more memory.");
  }

  private static void report(Events events, String kind, String message) {
    try {
      events.report(kind, message);
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, "the event " + kind + " cannot be written", e);
    }
  }
}
