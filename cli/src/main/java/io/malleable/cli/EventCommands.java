package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** {@code m2 event}. */
final class EventCommands {

  private EventCommands() {}

  static void addTo(Map<String, Supplier<Object>> commands) {
    commands.put("event", () -> new Noun("What happened in the project"));
    commands.put("event list", ListAll::new);
  }

  static final class ListAll extends ServerCommand {
    ListAll() {
      super("Lists the latest events, the oldest of them first");
    }

    private final Argument limit =
        arguments.option("--limit", "N", "50", "how many of the latest (default 50, up to 1000)");
    private final Argument follow =
        arguments.flag("-f --follow", "print what happens from now on; end with Ctrl-C");

    @Override
    protected void run() {
      if (follow.isSet()) {
        api().events(this::print, "/v1/events");
        return;
      }
      List<JsonNode> events = latest(limit.number(1, 1000));
      if (wantsJson()) {
        printJson(events);
      } else if (events.isEmpty()) {
        out().println("Nothing has happened yet.");
      } else {
        events.forEach(this::print);
      }
    }

    /** The server begins with the latest; a reader ends with it. */
    private List<JsonNode> latest(long count) {
      List<JsonNode> events = new ArrayList<>();
      api().get("/v1/events?limit={}", Long.toString(count)).path("items").forEach(events::add);
      events.sort(Comparator.comparing(event -> event.path("at").asText()));
      return events;
    }

    private void print(JsonNode event) {
      if (wantsJson()) {
        out().println(event);
      } else {
        out()
            .println(
                Table.cell(event.path("at"))
                    + "  "
                    + Table.cell(event.path("kind"))
                    + "  "
                    + Table.cell(event.path("message")));
      }
      out().flush();
    }
  }
}
