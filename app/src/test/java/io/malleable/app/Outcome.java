package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.malleable.cli.M2Command;
import io.malleable.cli.Terminal;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Map;
import java.util.function.Supplier;

/** How a command of {@code m2} ended, and what it printed. */
record Outcome(int status, String out, String err) {
  private static final int COLUMNS = 100;

  /** Runs a command in this process, for a pipe instead of a terminal. */
  static Outcome of(
      Map<String, String> environment, Map<String, Supplier<Object>> more, String... words) {
    return of(new Terminal(environment, false, COLUMNS), more, words);
  }

  /** The same for somebody who looks on. */
  static Outcome interactively(Map<String, String> environment, String... words) {
    return of(new Terminal(environment, true, COLUMNS), Map.of(), words);
  }

  private static Outcome of(
      Terminal terminal, Map<String, Supplier<Object>> more, String... words) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = M2Command.run(words, more, terminal, new PrintWriter(out), new PrintWriter(err));
    return new Outcome(status, out.toString(), err.toString());
  }

  JsonNode json() throws IOException {
    return new JsonMapper().readTree(out);
  }
}
