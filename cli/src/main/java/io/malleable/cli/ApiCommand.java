package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * A command that calls the server. Subclasses say what they do in {@link #run}; it ends well or
 * throws.
 */
public abstract class ApiCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FORMAT",
      description = "table (for people, the default) or json (for programs)")
  private OutputFormat format = OutputFormat.table;

  @Option(
      names = "--project",
      paramLabel = "PROJECT",
      description = "the project to act in (default: M2_PROJECT, else \"default\")")
  private @Nullable String project;

  @Option(
      names = "--url",
      paramLabel = "URL",
      description =
          "the server (default: M2_URL, else the one of this user, else http://127.0.0.1:8480)")
  private @Nullable String url;

  private @Nullable ApiClient client;

  /** The names are what the user types. */
  @SuppressWarnings("checkstyle:ConstantName")
  enum OutputFormat {
    table,
    json
  }

  /** Does the work. */
  protected abstract void run();

  @Override
  public final Integer call() {
    run();
    out().flush();
    return 0;
  }

  /** The server. */
  protected final ApiClient api() {
    if (client == null) {
      Endpoint endpoint =
          Endpoint.of(terminal().environment())
              .withUrl(url, terminal().environment())
              .withProject(project);
      client = new ApiClient(endpoint);
    }
    return client;
  }

  /** Standard output: results only. */
  protected final PrintWriter out() {
    return spec.commandLine().getOut();
  }

  /** Standard error: progress and remarks. */
  protected final PrintWriter err() {
    return spec.commandLine().getErr();
  }

  /** Where the command runs. */
  protected final Terminal terminal() {
    return ((Root) spec.root().userObject()).terminal();
  }

  /** Whether the output is for a program. */
  protected final boolean wantsJson() {
    return format == OutputFormat.json;
  }

  /** A usage error, exit status 2. */
  protected final RuntimeException misused(String message) {
    return new picocli.CommandLine.ParameterException(spec.commandLine(), message);
  }

  /** Prints a resource for a program. */
  protected final void printJson(JsonNode resource) {
    out().println(resource.toPrettyString());
  }

  /** Prints a list for a program: a JSON array. */
  protected final void printJson(Iterable<JsonNode> items) {
    var array = com.fasterxml.jackson.databind.node.JsonNodeFactory.instance.arrayNode();
    items.forEach(array::add);
    printJson(array);
  }
}
