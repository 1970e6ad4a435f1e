package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.CommandFailure;
import java.lang.System.Logger.Level;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;

/** Follows the boots of one node: its timeline and its console. One thread polls. */
final class BootWatch implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(BootWatch.class.getName());
  private static final long CONSOLE_RETRY_NANOS = 300_000_000;

  private final ApiClient api;
  private final String node;
  private final ConsoleTail console = new ConsoleTail();
  private final Set<String> seen = new HashSet<>();
  private final Thread reader;
  private volatile boolean closed;

  BootWatch(ApiClient api, String node) {
    this.api = api;
    this.node = node;
    this.reader = Thread.ofVirtual().name("console-" + node).start(this::followConsole);
  }

  /** The node as it is now. */
  JsonNode node() {
    return api.get("/v1/nodes/{}", node);
  }

  /** The stages that came since the last call, in their order. */
  List<JsonNode> newStages(JsonNode latest) {
    List<JsonNode> fresh = new ArrayList<>();
    String boot = latest.path("boot").asText();
    for (JsonNode stage : latest.path("bootTimeline")) {
      if (seen.add(boot + "/" + stage.path("stage").asText())) {
        fresh.add(stage);
      }
    }
    return fresh;
  }

  /** The end of what the machine wrote to its console. */
  List<String> consoleTail(int lines) {
    return console.last(lines);
  }

  /** How many lines the machine has written since this watch began. */
  long consoleLines() {
    return console.lineCount();
  }

  /** When a stage of the latest boot came; absent is {@link Instant#MAX}. */
  static Instant at(JsonNode node, String stage) {
    for (JsonNode one : node.path("bootTimeline")) {
      if (one.path("stage").asText().equals(stage)) {
        return Instant.parse(one.path("at").asText());
      }
    }
    return Instant.MAX;
  }

  @Override
  public void close() {
    closed = true;
    reader.interrupt();
  }

  private void followConsole() {
    while (!closed) {
      try {
        // There is nothing to follow before the machine has power.
        api.stream(console, "/v1/nodes/{}/console?follow=true", node);
      } catch (CommandFailure e) {
        LOG.log(Level.DEBUG, () -> "console of " + node + ": " + e.getMessage());
      }
      LockSupport.parkNanos(CONSOLE_RETRY_NANOS);
    }
  }
}
