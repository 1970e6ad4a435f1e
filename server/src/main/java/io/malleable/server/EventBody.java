package io.malleable.server;

import io.malleable.control.Event;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** An event on the wire. */
record EventBody(
    String id,
    Instant at,
    @Nullable String project,
    String kind,
    OperationBody.@Nullable RefBody resource,
    String message) {
  static EventBody of(Event event) {
    return new EventBody(
        Long.toString(event.sequence()),
        event.at(),
        event.project().orElse(null),
        event.kind(),
        event.subject().map(OperationBody.RefBody::of).orElse(null),
        event.message());
  }
}
