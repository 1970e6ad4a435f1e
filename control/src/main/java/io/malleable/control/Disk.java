package io.malleable.control;

import java.time.Instant;
import java.util.Optional;
import java.util.UUID;

/**
 * A writable copy-on-write clone of an image or snapshot. Its volume has the same id.
 *
 * @param measure of its volume, what it diverged by; unknown where the caller did not ask
 * @param parent the image or snapshot that it was cloned from; absent once flattened
 * @param use how it is reachable now
 * @param trashedAt when it was moved to the trash
 * @param revision grows with every change, for optimistic locking
 */
public record Disk(
    UUID id,
    UUID projectId,
    String project,
    String name,
    State state,
    Instant createdAt,
    long sizeBytes,
    Measure measure,
    Optional<Ref> parent,
    Use use,
    Optional<Instant> trashedAt,
    long revision)
    implements Resource {
  /** Its life; a disk that could not be made leaves nothing behind. */
  public enum State {
    CREATING,
    READY,
    TRASHED,
    DELETING
  }

  /** Who can reach it: at most one of these at a time. */
  public sealed interface Use {
    /** Nobody: there is no target. */
    record Idle() implements Use {}

    /** A node boots from it. */
    record Attached(Ref node) implements Use {}

    /** It has a target without a node. */
    record Exposed(WriteCache writeCache, Optional<LostWrites> lostWrites) implements Use {}
  }

  @Override
  public String stateWord() {
    return switch (state) {
      case CREATING -> "creating";
      case TRASHED -> "trashed";
      case DELETING -> "deleting";
      case READY -> measure.troubleWord().orElseGet(this::useWord);
    };
  }

  private String useWord() {
    return switch (use) {
      case Use.Idle _ -> "ready";
      case Use.Attached _ -> "attached";
      case Use.Exposed _ -> "exposed";
    };
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.DISK, id, name);
  }

  /** The node that it is attached to. */
  public Optional<Ref> node() {
    return use instanceof Use.Attached attached ? Optional.of(attached.node()) : Optional.empty();
  }

  Disk with(Measure newMeasure) {
    return new Disk(
        id,
        projectId,
        project,
        name,
        state,
        createdAt,
        sizeBytes,
        newMeasure,
        parent,
        use,
        trashedAt,
        revision);
  }

  Disk withName(String newName) {
    return new Disk(
        id, projectId, project, newName, state, createdAt, sizeBytes, measure, parent, use,
        trashedAt, revision);
  }

  Disk withSizeBytes(long newSizeBytes) {
    return new Disk(
        id,
        projectId,
        project,
        name,
        state,
        createdAt,
        newSizeBytes,
        measure,
        parent,
        use,
        trashedAt,
        revision);
  }

  Disk withParent(Optional<Ref> newParent) {
    return new Disk(
        id, projectId, project, name, state, createdAt, sizeBytes, measure, newParent, use,
        trashedAt, revision);
  }

  Disk withState(State newState, Optional<Instant> newTrashedAt) {
    return new Disk(
        id,
        projectId,
        project,
        name,
        newState,
        createdAt,
        sizeBytes,
        measure,
        parent,
        use,
        newTrashedAt,
        revision);
  }
}
