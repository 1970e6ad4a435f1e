package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.jspecify.annotations.Nullable;

/** A command that calls the server. */
public abstract class ServerCommand extends BaseCommand {
  private final Argument format =
      arguments.option(
          "-o --output",
          "FORMAT",
          "table",
          "table (for people, the default) or json (for programs)");
  private final Argument project =
      arguments.option(
          "--project", "PROJECT", "the project to act in (default: M2_PROJECT, else \"default\")");
  private final Argument url =
      arguments.option(
          "--url",
          "URL",
          "the server (default: M2_URL, else this user's own, else http://127.0.0.1:8480)");
  private @Nullable ApiClient client;

  /** A command that does what the description says; the footer tells the rest. */
  protected ServerCommand(String description, String... footer) {
    super(description, footer);
  }

  @Override
  void check() {
    format.oneOf("table", "json");
  }

  /** The server. */
  protected final ApiClient api() {
    ApiClient api = client;
    if (api == null) {
      var environment = terminal().environment();
      String other = url.orNull();
      Endpoint endpoint =
          other == null
              ? Endpoint.of(environment)
              : Endpoint.of(environment).at(other, environment);
      api = new ApiClient(endpoint.withProject(project.orNull()));
      client = api;
    }
    return api;
  }

  /** The server, for what belongs to another project; {@code null} means the same. */
  final ApiClient api(@Nullable String otherProject) {
    return otherProject == null ? api() : new ApiClient(api().endpoint().withProject(otherProject));
  }

  /** Whether the output is for a program. */
  protected final boolean wantsJson() {
    return format.text().equals("json");
  }

  /** Prints a resource for a program. */
  protected final void printJson(JsonNode resource) {
    out().println(resource.toPrettyString());
  }

  /** Prints a list for a program: a JSON array. */
  protected final void printJson(Iterable<JsonNode> items) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    items.forEach(array::add);
    out().println(array.toPrettyString());
  }
}
