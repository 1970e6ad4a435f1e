package io.malleable.server;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.malleable.control.Snapshot;
import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** A snapshot on the wire; its parent there is the disk that it was taken of. */
record SnapshotBody(
    UUID id,
    String name,
    String project,
    String state,
    Instant createdAt,
    long sizeBytes,
    long allocatedBytes,
    String parent,
    UUID parentId,
    String disk) {
  static SnapshotBody of(Snapshot snapshot) {
    return new SnapshotBody(
        snapshot.id(),
        snapshot.name(),
        snapshot.project(),
        snapshot.stateWord(),
        snapshot.createdAt(),
        snapshot.sizeBytes(),
        snapshot.allocatedBytes(),
        snapshot.disk().name(),
        snapshot.disk().id(),
        snapshot.disk().name());
  }

  /** Asks for a snapshot. */
  record Create(@Nullable String name, @Nullable String disk) {}

  /** Asks for an image of a snapshot. */
  record Promote(@Nullable String name, @JsonProperty("public") @Nullable Boolean isPublic) {}
}
