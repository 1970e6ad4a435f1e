package io.malleable.server;

import io.malleable.control.Node;
import io.malleable.hardware.ConsoleSession;
import io.malleable.hardware.NodeConsole;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Function;

/** {@code /v1/nodes/{node}/console}: the serial console as a stream of bytes. */
final class ConsoleRoutes {
  private static final String PATH = "/v1/nodes/{node}/console";
  private static final int MAX_TAIL_BYTES = 1024 * 1024;
  private static final int DEFAULT_TAIL_BYTES = 64 * 1024;
  private static final int MAX_INPUT_BYTES = 64 * 1024;
  private static final Duration LOOK = Duration.ofMillis(500);

  /** Without follow, the past is over when nothing comes at once. */
  private static final Duration PAST = Duration.ofMillis(50);

  private final Context context;
  private final Function<Node, Optional<NodeConsole>> consoles;
  private final BooleanSupplier serving;

  ConsoleRoutes(
      Context context, Function<Node, Optional<NodeConsole>> consoles, BooleanSupplier serving) {
    this.context = context;
    this.consoles = consoles;
    this.serving = serving;
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", PATH, this::read, "follow", "tailBytes"),
        Route.of("POST", PATH, this::write));
  }

  private Answer read(Call call) throws IOException {
    boolean follow = call.flag("follow");
    int tailBytes = call.number("tailBytes", 0, MAX_TAIL_BYTES, DEFAULT_TAIL_BYTES);
    ConsoleSession session = console(call).open(tailBytes);
    return new Answer.Stream(
        "text/plain",
        out -> {
          try (session) {
            copy(session, out, follow);
          }
        });
  }

  private void copy(ConsoleSession session, OutputStream out, boolean follow) throws IOException {
    byte[] buffer = new byte[16 * 1024];
    out.flush();
    while (serving.getAsBoolean()) {
      int n = session.read(buffer, follow ? LOOK : PAST);
      if (n < 0 || (n == 0 && !follow)) {
        return;
      }
      out.write(buffer, 0, n);
      out.flush();
    }
  }

  private Answer write(Call call) throws IOException {
    byte[] input = call.bytes();
    if (input.length > MAX_INPUT_BYTES) {
      throw ApiException.of(
          413, "BODY_TOO_LARGE", null, "The input is larger than 64 KiB.", "Type less at once.");
    }
    try (ConsoleSession session = console(call).open(0)) {
      session.write(input);
    }
    return Answer.none();
  }

  private NodeConsole console(Call call) {
    Node node = context.control().nodes().get(context.project(call), call.variable("node"));
    return consoles
        .apply(node)
        .orElseThrow(() ->
            ApiException.of(
                409,
                "NODE_HAS_NO_CONSOLE",
                "bmc",
                "The node '" + node.name() + "' has no console that the server can reach.",
                "Give it a bmc with a serial console."));
  }
}
