package io.malleable.server;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.malleable.control.Ancestor;
import io.malleable.control.Image;
import io.malleable.control.Image.Visibility;
import io.malleable.control.Ref;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * An image on the wire. With whom it is shared, where it came from and what it was made from are
 * for its owner only.
 */
record ImageBody(
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
    @Nullable String parent,
    @Nullable UUID parentId,
    @Nullable List<AncestorBody> lineage,
    @JsonProperty("public") boolean isPublic,
    @Nullable List<String> sharedWith,
    @Nullable String format,
    @Nullable String sha256,
    @Nullable String source) {
  /**
   * An image as a project sees it.
   *
   * @param lineage absent in lists
   */
  static ImageBody of(Image image, UUID viewer, Optional<List<Ancestor>> lineage) {
    boolean own = image.projectId().equals(viewer);
    Optional<Ref> parent = image.parent().filter(_ -> own);
    return new ImageBody(
        image.id(),
        image.name(),
        image.project(),
        image.stateWord(),
        image.createdAt(),
        image.sizeBytes(),
        image.measure().allocatedBytes().orElse(null),
        image.measure().storeFault().orElse(null),
        image.measure().damage().orElse(null),
        FaultBody.of(image.measure()),
        parent.map(Ref::name).orElse(null),
        parent.map(Ref::id).orElse(null),
        lineage.filter(_ -> own).map(AncestorBody::of).orElse(null),
        image.visibility() == Visibility.PUBLIC,
        own ? image.sharedWith() : null,
        image.format().orElse(null),
        image.sha256().filter(digest -> !digest.isEmpty()).orElse(null),
        image.source().filter(_ -> own).orElse(null));
  }

  /** Asks for an import. */
  record Import(
      @Nullable String name,
      @Nullable Source source,
      @Nullable String format,
      @Nullable String sha256,
      @JsonProperty("public") @Nullable Boolean isPublic) {}

  /** Where an import's bytes are: exactly one of both. */
  record Source(@Nullable String path, @Nullable String url) {}

  /** What is left out stays. */
  record Change(@Nullable String name, @JsonProperty("public") @Nullable Boolean isPublic) {}

  /** Asks for a copy; what is left out is as the original, or the project that asks. */
  record Copy(@Nullable String name, @Nullable String project, @Nullable String mode) {}

  /** Gives it to another project. */
  record Move(@Nullable String project, @Nullable String name) {}
}
