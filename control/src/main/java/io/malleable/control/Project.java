package io.malleable.control;

import java.time.Instant;
import java.util.UUID;

/** A tenant. */
public record Project(UUID id, String name, Instant createdAt) implements Resource {
  /** The project that is there from the start and is meant when a caller names none. */
  public static final String DEFAULT = "default";

  @Override
  public String project() {
    return name;
  }

  @Override
  public String stateWord() {
    return "active";
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.PROJECT, id, name);
  }
}
