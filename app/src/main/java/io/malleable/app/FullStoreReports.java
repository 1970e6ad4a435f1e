package io.malleable.app;

import io.malleable.control.Events;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Reports that machines' writes are refused because the store is full. At most once a minute,
 * whatever they write, and never on the thread that serves them: the database may be slow now.
 */
final class FullStoreReports {
  private static final System.Logger LOG = System.getLogger(FullStoreReports.class.getName());
  private static final Duration PAUSE = Duration.ofMinutes(1);

  private final InstantSource clock;
  private final AtomicReference<Instant> due = new AtomicReference<>(Instant.MIN);
  private volatile @Nullable Events events;

  FullStoreReports(InstantSource clock) {
    this.clock = clock;
  }

  void connect(Events connected) {
    events = connected;
  }

  /** A write to this disk was refused. */
  void onRefusal(UUID disk) {
    Events to = events;
    Instant now = clock.instant();
    Instant before = due.get();
    if (to == null || now.isBefore(before) || !due.compareAndSet(before, now.plus(PAUSE))) {
      return;
    }
    Thread.ofVirtual().name("full-store-report").start(() -> report(to, disk));
  }

  private static void report(Events events, UUID disk) {
    // Every project sees the event; whose machine it was is for the log only.
    LOG.log(Level.WARNING, "the store is full: a write to the disk {0} was refused", disk);
    try {
      events.report(
          "store.full",
          "The store is full: a machine's write was refused, and so is all that needs more space;"
              + " delete what is not needed or add space.");
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, "the store is full, and the event about it cannot be written", e);
    }
  }
}
