package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code m2 event}. */
@Command(
    name = "event",
    mixinStandardHelpOptions = true,
    description = "What happened in the project",
    subcommands = EventCommands.ListAll.class)
final class EventCommands {

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "Lists events, the oldest first")
  static final class ListAll extends ApiCommand {
    @Option(
        names = {"-f", "--follow"},
        description = "print what happens from now on; end with Ctrl-C")
    private boolean follow;

    @Override
    protected void run() {
      if (follow) {
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
