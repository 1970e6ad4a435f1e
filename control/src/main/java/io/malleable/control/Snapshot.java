package io.malleable.control;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/**
 * An immutable point in time of a disk. Its volume has the same id. It outlives its disk.
 *
 * @param measure of its volume; unknown where the caller did not ask
 * @param disk the disk that it was taken of; the name is the disk's name now, or the one it had
 * @param parent the image or snapshot that its content builds on
 */
public record Snapshot(
    UUID id,
    UUID projectId,
    String project,
    String name,
    State state,
    Instant createdAt,
    long sizeBytes,
    Measure measure,
    Ref disk,
    Optional<Ref> parent)
    implements Resource {
  /** Its life; a snapshot that could not be taken leaves nothing behind. */
  public enum State {
    CREATING,
    READY,
    DELETING
  }

  @Override
  public String stateWord() {
    String word = state.name().toLowerCase(Locale.ROOT);
    return state == State.READY ? measure.troubleWord().orElse(word) : word;
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.SNAPSHOT, id, name);
  }

  Snapshot with(Measure newMeasure) {
    return new Snapshot(
        id, projectId, project, name, state, createdAt, sizeBytes, newMeasure, disk, parent);
  }

  Snapshot withState(State newState) {
    return new Snapshot(
        id, projectId, project, name, newState, createdAt, sizeBytes, measure, disk, parent);
  }

  Snapshot taken(long newSizeBytes) {
    return new Snapshot(
        id, projectId, project, name, State.READY, createdAt, newSizeBytes, measure, disk, parent);
  }
}
