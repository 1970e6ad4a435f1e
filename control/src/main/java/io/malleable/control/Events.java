package io.malleable.control;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** What happened, kept up to a bound. */
public final class Events {
  private final Ports ports;
  private final Signal signal;

  Events(Ports ports, Signal signal) {
    this.ports = ports;
    this.signal = signal;
  }

  /**
   * Newest first. Of one project or all of them, and always the server's own, such as of its
   * network.
   */
  public Page<Event> list(Optional<UUID> project, PageRequest request) {
    long before =
        request
            .afterKey()
            .map(key -> {
              if (!key.matches("[0-9]{1,18}")) {
                throw PageRequest.invalid(key);
              }
              return Long.parseLong(key);
            })
            .orElse(Long.MAX_VALUE);
    return ports
        .database()
        .read(rows ->
            request.page(
                rows.events().before(before, project, request.limit() + 1),
                event -> Long.toString(event.sequence())));
  }

  /** The number of the latest event; 0 when there is none. */
  public long latest() {
    return ports.database().read(rows -> rows.events().latest());
  }

  /**
   * The events after a sequence number, oldest first: at once when there are any, otherwise when
   * the first one comes, and none after the time. A subscriber calls this in a loop with the last
   * number it has seen; nothing is kept for it, so it may be as slow as it likes. When the first
   * number is not the next one, the ones between belong to others or are no longer kept.
   */
  public List<Event> await(
      long afterSequence, Optional<UUID> project, int limit, long timeoutMillis)
      throws InterruptedException {
    List<Event> found =
        signal.await(
            () -> {
              List<Event> events =
                  ports.database().read(rows -> rows.events().after(afterSequence, project, limit));
              return events.isEmpty() ? null : events;
            },
            timeoutMillis);
    return found == null ? List.of() : found;
  }

  /** Reports something about a disk to the project that owns it. */
  public void reportDisk(UUID disk, String kind, String message) {
    ports
        .database()
        .change(rows -> appendOfDisk(rows, ports.clock().instant(), disk, kind, message));
  }

  /** The same, with other changes. */
  static void appendOfDisk(Rows rows, Instant at, UUID disk, String kind, String message) {
    rows.disks()
        .find(disk)
        .ifPresent(found ->
            rows.events()
                .append(
                    at,
                    Optional.of(found.projectId()),
                    kind,
                    Optional.of(found.ref()),
                    "The " + found.ref() + " " + message));
  }

  /**
   * Reports something that is nobody's in particular, such as a foreign DHCP server. Every project
   * sees it: say nothing of what belongs to one.
   */
  public void report(String kind, String message) {
    ports
        .database()
        .change(rows ->
            rows.events()
                .append(
                    ports.clock().instant(), Optional.empty(), kind, Optional.empty(), message));
  }
}
