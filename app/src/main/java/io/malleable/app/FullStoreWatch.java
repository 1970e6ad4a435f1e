package io.malleable.app;

import io.malleable.control.Events;
import io.malleable.iscsi.SpaceRefusal;
import io.malleable.iscsi.SpaceRefusal.Answer;
import io.malleable.server.ServerFacts.StoreFullFacts;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * Reports that machines' writes find no space, and when they do again. It looks by itself rather
 * than on the threads that serve them: the database may be slow now.
 */
final class FullStoreWatch {
  private static final System.Logger LOG = System.getLogger(FullStoreWatch.class.getName());
  static final Duration PAUSE = Duration.ofSeconds(1);

  /** A store that is full and not full in turn does not fill the events. */
  private static final Duration BETWEEN_EVENTS = Duration.ofSeconds(10);

  private static final Duration BETWEEN_EVENTS_OF_DISK = Duration.ofHours(1);

  private final Supplier<List<SpaceRefusal>> refusals;
  private final Duration busy;
  private final Reports reports;
  private final InstantSource clock;

  // Owned by the thread that looks.
  private boolean told;
  private Instant due = Instant.MIN;
  private final Map<UUID, Instant> toldOfDisks = new HashMap<>();

  /** Takes events. */
  interface Reports {
    void store(String kind, String message);

    void disk(UUID disk, String kind, String message);

    static Reports to(Events events) {
      return new Reports() {
        @Override
        public void store(String kind, String message) {
          events.report(kind, message);
        }

        @Override
        public void disk(UUID disk, String kind, String message) {
          events.reportDisk(disk, kind, message);
        }
      };
    }
  }

  /**
   * A watch that looks when it is told to.
   *
   * @param busy how long writes are held
   */
  FullStoreWatch(
      Supplier<List<SpaceRefusal>> refusals, Duration busy, Reports reports, InstantSource clock) {
    this.refusals = refusals;
    this.busy = busy;
    this.reports = reports;
    this.clock = clock;
  }

  void look() {
    List<SpaceRefusal> now = refusals.get();
    tellOfStore(now.stream().filter(r -> r.answer() != Answer.UNIT_FULL).toList());
    tellOfDisks(now.stream().filter(r -> r.answer() == Answer.UNIT_FULL).toList());
  }

  private void tellOfStore(List<SpaceRefusal> now) {
    boolean full = !now.isEmpty();
    if (full == told || clock.instant().isBefore(due)) {
      return;
    }
    if (full) {
      // Every project sees the event; whose machines they are is for the log only.
      LOG.log(
          Level.WARNING,
          "the store is full: no room for writes to {0}",
          now.stream().map(SpaceRefusal::target).collect(Collectors.joining(", ")));
      reports.store(
          "store.full",
          "The store is full: machines' writes that need more space are "
              + (busy.isZero() ? "" : "held for " + busy.toSeconds() + " s and then ")
              + "refused, and so is all else that needs it; delete what is not needed or add"
              + " space.");
    } else {
      reports.store(
          "store.writable", "The store has taken what it had no room for: no write is held now.");
    }
    told = full;
    due = clock.instant().plus(BETWEEN_EVENTS);
  }

  private void tellOfDisks(List<SpaceRefusal> now) {
    Instant instant = clock.instant();
    toldOfDisks.values().removeIf(at -> !instant.isBefore(at.plus(BETWEEN_EVENTS_OF_DISK)));
    for (SpaceRefusal refusal : now) {
      if (!toldOfDisks.containsKey(refusal.logicalUnit())) {
        reports.disk(
            refusal.logicalUnit(), "disk.fragmented", "refuses writes: " + refusal.reason() + ".");
        toldOfDisks.put(refusal.logicalUnit(), instant);
      }
    }
  }

  /** What is so now; empty when the store is not full for anybody. */
  static Optional<StoreFullFacts> facts(List<SpaceRefusal> now, Instant instant) {
    List<SpaceRefusal> full = now.stream().filter(r -> r.answer() != Answer.UNIT_FULL).toList();
    return full.stream()
        .map(SpaceRefusal::lasting)
        .max(Duration::compareTo)
        .map(longest -> {
          long held = full.stream().filter(r -> r.answer() == Answer.HELD).count();
          return new StoreFullFacts(instant.minus(longest), held, full.size() - held);
        });
  }
}
