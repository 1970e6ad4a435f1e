package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
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
      super("Lists events, the oldest first");
    }

    private final Argument follow =
        arguments.flag("-f --follow", "print what happens from now on; end with Ctrl-C");

    @Override
    protected void run() {
      if (follow.isSet()) {
        api().events(this::print, "/v1/events");
        return;
      }
      List<JsonNode> events = api().list("/v1/events");
      if (wantsJson()) {
        printJson(events);
      } else if (events.isEmpty()) {
        out().println("Nothing has happened yet.");
      } else {
        events.forEach(this::print);
      }
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
