package io.malleable.server;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.control.Node;
import io.malleable.hardware.ConsoleSession;
import io.malleable.hardware.NodeConsole;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
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

  /** For so long, one who follows may still see what a node writes that is no longer theirs. */
  private static final Duration RECHECK = Duration.ofSeconds(1);

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
    UUID project = context.project(call);
    Node node = node(call);
    ConsoleSession session = console(node).open(tailBytes);
    return new Answer.Stream(
        "text/plain",
        out -> {
          try (session) {
            copy(session, out, follow, () -> isSame(project, node));
          }
        });
  }

  private void copy(
      ConsoleSession session, OutputStream out, boolean follow, BooleanSupplier allowed)
      throws IOException {
    byte[] buffer = new byte[16 * 1024];
    out.flush();
    long checkedNanos = System.nanoTime();
    while (serving.getAsBoolean()) {
      int n = session.read(buffer, follow ? LOOK : PAST);
      if (System.nanoTime() - checkedNanos >= RECHECK.toNanos()) {
        if (!allowed.getAsBoolean()) {
          return;
        }
        checkedNanos = System.nanoTime();
      }
      if (n < 0 || (n == 0 && !follow)) {
        return;
      }
      out.write(buffer, 0, n);
      out.flush();
    }
  }

  /** The node is still there, the project's, and has the same BMC. */
  private boolean isSame(UUID project, Node node) {
    try {
      return context.control().nodes().get(project, node.id().toString()).bmc().equals(node.bmc());
    } catch (ControlException e) {
      if (e.code() == ErrorCode.NOT_FOUND) {
        return false;
      }
      throw e;
    }
  }

  private Answer write(Call call) throws IOException {
    byte[] input = call.bytes();
    if (input.length > MAX_INPUT_BYTES) {
      throw ApiException.of(
          413, "BODY_TOO_LARGE", null, "The input is larger than 64 KiB.", "Type less at once.");
    }
    try (ConsoleSession session = console(node(call)).open(0)) {
      session.write(input);
    }
    return Answer.none();
  }

  private Node node(Call call) {
    return context.control().nodes().get(context.project(call), call.variable("node"));
  }

  private NodeConsole console(Node node) {
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
