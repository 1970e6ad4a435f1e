package io.malleable.server;

import io.malleable.control.Project;
import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** A project on the wire. */
record ProjectBody(UUID id, String name, String project, String state, Instant createdAt) {
  static ProjectBody of(Project project) {
    return new ProjectBody(
        project.id(), project.name(), project.project(), project.stateWord(), project.createdAt());
  }

  /** Asks for a new project. */
  record Create(@Nullable String name) {}
}
