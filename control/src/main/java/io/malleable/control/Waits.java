package io.malleable.control;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Which operations wait for what, and until when. Only a memory aid: the database knows who waits,
 * and a look at an operation that does not wait any more removes it here. Any thread.
 */
final class Waits {
  private final Map<UUID, Wait> waits = new ConcurrentHashMap<>();

  /** A claim sees to it that one resource is watched by one operation at most. */
  private final Map<UUID, UUID> watchers = new ConcurrentHashMap<>();

  private record Wait(UUID watched, Instant nextLook) {}

  void add(UUID operation, UUID watched) {
    waits.put(operation, new Wait(watched, Instant.MIN));
    watchers.put(watched, operation);
  }

  void remove(UUID operation) {
    Wait wait = waits.remove(operation);
    if (wait != null) {
      watchers.remove(wait.watched(), operation);
    }
  }

  void lookAgainAt(UUID operation, Instant moment) {
    waits.computeIfPresent(operation, (_, wait) -> new Wait(wait.watched(), moment));
  }

  Optional<UUID> watcher(UUID resource) {
    return Optional.ofNullable(watchers.get(resource));
  }

  List<UUID> due(Instant now) {
    List<UUID> due = new ArrayList<>();
    waits.forEach((operation, wait) -> {
      if (!wait.nextLook().isAfter(now)) {
        due.add(operation);
      }
    });
    return due;
  }
}
