package io.malleable.server;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.malleable.control.Image;
import io.malleable.control.Image.Visibility;
import io.malleable.control.Ref;
import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** An image on the wire. */
record ImageBody(
    UUID id,
    String name,
    String project,
    String state,
    Instant createdAt,
    long sizeBytes,
    long allocatedBytes,
    @Nullable String parent,
    @Nullable UUID parentId,
    @JsonProperty("public") boolean isPublic,
    @Nullable String format,
    @Nullable String sha256,
    @Nullable String source) {
  static ImageBody of(Image image) {
    return new ImageBody(
        image.id(),
        image.name(),
        image.project(),
        image.stateWord(),
        image.createdAt(),
        image.sizeBytes(),
        image.allocatedBytes(),
        image.parent().map(Ref::name).orElse(null),
        image.parent().map(Ref::id).orElse(null),
        image.visibility() == Visibility.PUBLIC,
        image.format().orElse(null),
        image.sha256().filter(digest -> !digest.isEmpty()).orElse(null),
        image.source().orElse(null));
  }

  /** Asks for an import. */
  record Import(
      @Nullable String name,
      @Nullable Source source,
      @Nullable String format,
      @JsonProperty("public") @Nullable Boolean isPublic) {}

  /** Where an import's bytes are: exactly one of both. */
  record Source(@Nullable String path, @Nullable String url) {}

  /** What is left out stays. */
  record Change(@Nullable String name, @JsonProperty("public") @Nullable Boolean isPublic) {}
}
