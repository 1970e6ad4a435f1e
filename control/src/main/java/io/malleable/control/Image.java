package io.malleable.control;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/**
 * An immutable, golden, bootable image. Its volume has the same id.
 *
 * @param project name of the owner
 * @param sizeBytes virtual size; 0 while it is being imported
 * @param allocatedBytes what its volume occupies by itself; 0 where the caller did not ask
 * @param parent the snapshot that it was promoted from
 * @param sha256 of the content as a raw image, lower-case hexadecimal
 * @param source where it came from, for people
 * @param revision grows with every change, for optimistic locking
 */
public record Image(
    UUID id,
    UUID projectId,
    String project,
    String name,
    State state,
    Instant createdAt,
    long sizeBytes,
    long allocatedBytes,
    Optional<Ref> parent,
    Visibility visibility,
    Optional<String> format,
    Optional<String> sha256,
    Optional<String> source,
    long revision)
    implements Resource {
  /** Its life; an image that failed to become ready leaves nothing behind. */
  public enum State {
    CREATING,
    READY,
    DELETING
  }

  /** Who may clone it. */
  public enum Visibility {
    PRIVATE,
    PUBLIC
  }

  @Override
  public String stateWord() {
    return state.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.IMAGE, id, name);
  }

  Image withAllocatedBytes(long bytes) {
    return new Image(
        id,
        projectId,
        project,
        name,
        state,
        createdAt,
        sizeBytes,
        bytes,
        parent,
        visibility,
        format,
        sha256,
        source,
        revision);
  }

  Image with(String newName, Visibility newVisibility) {
    return new Image(
        id,
        projectId,
        project,
        newName,
        state,
        createdAt,
        sizeBytes,
        allocatedBytes,
        parent,
        newVisibility,
        format,
        sha256,
        source,
        revision);
  }

  Image withState(State newState) {
    return new Image(
        id,
        projectId,
        project,
        name,
        newState,
        createdAt,
        sizeBytes,
        allocatedBytes,
        parent,
        visibility,
        format,
        sha256,
        source,
        revision);
  }

  Image imported(ImageFacts facts) {
    return new Image(
        id,
        projectId,
        project,
        name,
        State.READY,
        createdAt,
        facts.sizeBytes(),
        allocatedBytes,
        parent,
        visibility,
        Optional.of(facts.format()),
        Optional.of(facts.sha256()).filter(sum -> !sum.isEmpty()),
        source,
        revision);
  }
}
