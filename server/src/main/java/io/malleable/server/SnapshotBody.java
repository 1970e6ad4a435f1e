package io.malleable.server;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.malleable.control.Ancestor;
import io.malleable.control.Snapshot;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A snapshot on the wire; its parent there is the disk that it was taken of, its lineage what its
 * content builds on.
 */
record SnapshotBody(
    UUID id,
    String name,
    String project,
    String state,
    Instant createdAt,
    long sizeBytes,
    @Nullable Long allocatedBytes,
    @Nullable String storeFault,
    @Nullable String damage,
    @Nullable FaultBody fault,
    String parent,
    UUID parentId,
    String disk,
    @Nullable List<AncestorBody> lineage) {
  /**
   * A snapshot as its owner sees it.
   *
   * @param lineage absent in lists
   */
  static SnapshotBody of(Snapshot snapshot, Optional<List<Ancestor>> lineage) {
    return new SnapshotBody(
        snapshot.id(),
        snapshot.name(),
        snapshot.project(),
        snapshot.stateWord(),
        snapshot.createdAt(),
        snapshot.sizeBytes(),
        snapshot.measure().allocatedBytes().orElse(null),
        snapshot.measure().storeFault().orElse(null),
        snapshot.measure().damage().orElse(null),
        FaultBody.of(snapshot.measure()),
        snapshot.disk().name(),
        snapshot.disk().id(),
        snapshot.disk().name(),
        lineage.map(AncestorBody::of).orElse(null));
  }

  /** Asks for a snapshot. */
  record Create(@Nullable String name, @Nullable String disk) {}

  /** Asks for an image of a snapshot. */
  record Promote(@Nullable String name, @JsonProperty("public") @Nullable Boolean isPublic) {}
}
