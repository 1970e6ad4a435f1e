package io.malleable.control;

import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/**
 * An immutable, golden, bootable image. Its volume has the same id.
 *
 * @param project name of the owner
 * @param sizeBytes virtual size; 0 while it is being imported
 * @param measure of its volume; unknown where the caller did not ask
 * @param parent what its content builds on: the snapshot that it was promoted from, or the image
 *     that it was copied from in constant time
 * @param sharedWith names of the projects besides the owner that may use it; empty where the caller
 *     did not ask or is not the owner
 * @param sha256 of the file that it came from, lower-case hexadecimal
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
    Measure measure,
    Optional<Ref> parent,
    Visibility visibility,
    List<String> sharedWith,
    Optional<String> format,
    Optional<String> sha256,
    Optional<String> source,
    long revision)
    implements Resource {
  public Image {
    sharedWith = List.copyOf(sharedWith);
  }

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
    String word = state.name().toLowerCase(Locale.ROOT);
    return state == State.READY ? measure.troubleWord().orElse(word) : word;
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.IMAGE, id, name);
  }

  Image with(Measure newMeasure) {
    return copy(name, state, sizeBytes, newMeasure, parent, visibility, sharedWith, format, sha256);
  }

  Image withSharedWith(List<String> projects) {
    return copy(name, state, sizeBytes, measure, parent, visibility, projects, format, sha256);
  }

  Image with(String newName, Visibility newVisibility) {
    return copy(
        newName, state, sizeBytes, measure, parent, newVisibility, sharedWith, format, sha256);
  }

  Image withState(State newState) {
    return copy(name, newState, sizeBytes, measure, parent, visibility, sharedWith, format, sha256);
  }

  Image withoutParent() {
    return copy(
        name, state, sizeBytes, measure, Optional.empty(), visibility, sharedWith, format, sha256);
  }

  Image imported(ImageFacts facts) {
    return copy(
        name,
        State.READY,
        facts.sizeBytes(),
        measure,
        parent,
        visibility,
        sharedWith,
        Optional.of(facts.format()),
        Optional.of(facts.sha256()).filter(sum -> !sum.isEmpty()));
  }

  /** The same image, owned by another project, which learns of its past only whose it was. */
  Image ownedBy(UUID newProject, String newName) {
    return new Image(
        id,
        newProject,
        project,
        newName,
        state,
        createdAt,
        sizeBytes,
        measure,
        parent,
        visibility,
        sharedWith,
        format,
        sha256,
        Optional.of("image " + project + "/" + name),
        revision);
  }

  private Image copy(
      String newName,
      State newState,
      long newSizeBytes,
      Measure newMeasure,
      Optional<Ref> newParent,
      Visibility newVisibility,
      List<String> newSharedWith,
      Optional<String> newFormat,
      Optional<String> newSha256) {
    return new Image(
        id,
        projectId,
        project,
        newName,
        newState,
        createdAt,
        newSizeBytes,
        newMeasure,
        newParent,
        newVisibility,
        newSharedWith,
        newFormat,
        newSha256,
        source,
        revision);
  }
}
