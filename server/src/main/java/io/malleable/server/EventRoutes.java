package io.malleable.server;

import io.malleable.control.Event;
import io.malleable.control.Events;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BooleanSupplier;

/** {@code /v1/events}: of one project, or of all when the call names none. */
final class EventRoutes {
  private static final long LOOK_MILLIS = 500;
  private static final int MAX_BATCH = 100;

  private final Context context;
  private final Events events;
  private final BooleanSupplier serving;

  EventRoutes(Context context, BooleanSupplier serving) {
    this.context = context;
    this.events = context.control().events();
    this.serving = serving;
  }

  List<Route> routes() {
    return List.of(Route.of("GET", "/v1/events", this::list, "limit", "cursor"));
  }

  private Answer list(Call call) {
    Optional<UUID> project =
        call.header("M2-Project").isPresent()
            ? Optional.of(context.project(call))
            : Optional.empty();
    if (!call.accepts(EventStream.CONTENT_TYPE)) {
      return Answer.json(200, PageBody.of(events.list(project, call.page()), EventBody::of));
    }
    long after = call.header("Last-Event-ID").map(EventRoutes::sequence).orElseGet(events::latest);
    return new Answer.Stream(
        EventStream.CONTENT_TYPE, out -> follow(project, after, new EventStream(out)));
  }

  private void follow(Optional<UUID> project, long after, EventStream stream)
      throws IOException, InterruptedException {
    long seen = after;
    stream.open();
    while (serving.getAsBoolean()) {
      List<Event> found = events.await(seen, project, MAX_BATCH, LOOK_MILLIS);
      for (Event event : found) {
        stream.send(Long.toString(event.sequence()), event.kind(), EventBody.of(event));
        seen = event.sequence();
      }
      stream.keepAlive();
    }
  }

  private static long sequence(String text) {
    if (text.matches("[0-9]{1,18}")) {
      return Long.parseLong(text);
    }
    throw ApiException.of(
        400,
        "PARAMETER_INVALID",
        "Last-Event-ID",
        text,
        "The Last-Event-ID is none of ours.",
        "Send the id of the last event that was seen, or leave it out.");
  }
}
