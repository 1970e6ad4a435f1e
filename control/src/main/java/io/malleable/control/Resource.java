package io.malleable.control;

import java.time.Instant;
import java.util.UUID;

/** What all that a project owns has in common. */
public sealed interface Resource permits Project, Image, Disk, Snapshot, Node, Operation {
  UUID id();

  String name();

  /** Name of the project that owns it. */
  String project();

  /** The word for its state on the wire. */
  String stateWord();

  Instant createdAt();

  Ref ref();
}
