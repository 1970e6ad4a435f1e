package io.malleable.cli;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Runs usual commands against a stand-in for a server, so that the Java runtime can record in its
 * ahead-of-time cache what a command needs (JEP 514). {@code bin/m2} runs it once per build; it
 * needs nothing and leaves nothing behind.
 */
final class Rehearsal extends BaseCommand {
  private static final String TIME = "\"2026-01-01T00:00:00.000Z\"";
  private static final String RESOURCE =
      "\"id\":\"0\",\"name\":\"a\",\"project\":\"default\",\"state\":\"ready\",\"createdAt\":"
          + TIME
          + ",\"sizeBytes\":1073741824,\"allocatedBytes\":0,\"nics\":[{\"mac\":\"52:54:00:00:00:01\"}],\"kind\":\"k\",\"progress\":1,"
          + "\"bootTimeline\":[{\"stage\":\"power-on\",\"at\":"
          + TIME
          + "},{\"stage\":\"ready\",\"at\":"
          + TIME
          + "}],"
          + "\"labDirectory\":\"/\",\"addresses\":{\"boot\":\"http://127.0.0.1:1\"},\"steps\":[{\"name\":\"s\",\"state\":\"succeeded\",\"startedAt\":"
          + TIME
          + "}]";

  private final Map<String, Supplier<Object>> more;

  Rehearsal(Map<String, Supplier<Object>> more) {
    super("Runs usual commands for the runtime to learn from");
    this.more = more;
  }

  @Override
  boolean isHidden() {
    return true;
  }

  @Override
  protected void run() {
    try {
      perform();
    } catch (IOException e) {
      throw new CommandFailure("no stand-in for a server: " + Failures.reason(e), null, e);
    }
  }

  private void perform() throws IOException {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          boolean list = exchange.getRequestURI().getPath().endsWith("s");
          String body = list ? "{\"items\":[{" + RESOURCE + "}]}" : "{" + RESOURCE + "}";
          byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
          exchange.getRequestBody().readAllBytes();
          exchange.getResponseHeaders().add("Content-Type", "application/json");
          exchange.sendResponseHeaders(200, bytes.length);
          exchange.getResponseBody().write(bytes);
          exchange.close();
        });
    server.start();
    try {
      rehearse("http://127.0.0.1:" + server.getAddress().getPort());
    } finally {
      server.stop(0);
    }
  }

  private void rehearse(String url) {
    Terminal terminal = new Terminal(Map.of("M2_URL", url, "M2_TOKEN", "rehearsal"), true, 80);
    PrintWriter nowhere = new PrintWriter(Writer.nullWriter());
    String[] lines = {
      "--help",
      "--version",
      "status",
      "status -o json",
      "node list",
      "node list -o json",
      "node show a",
      "node show a -o json",
      "node add a --mac 52:54:00:00:00:01",
      "node provision a --image a",
      "node release a",
      "node explain a",
      "node failover a --to b",
      "node power a",
      "operation show a",
      "node --help",
      "image list",
      "image show a",
      "image list -o json",
      "image delete a",
      "image rename a b",
      "image import a http://127.0.0.1:1/",
      "disk list",
      "disk show a",
      "disk create a --image a --size 20G",
      "disk expose a -o json",
      "disk delete a",
      "snapshot list",
      "snapshot create a --disk a",
      "operation list",
      "operation show a",
      "project list",
      "event list",
      "lab list",
      "serve --help",
      "no-such-command"
    };
    for (String line : lines) {
      StringWriter complaint = new StringWriter();
      M2Command.run(line.split(" ", -1), more, terminal, nowhere, new PrintWriter(complaint));
      if (complaint.toString().contains(M2Command.INTERNAL_ERROR)) {
        // The others are worth keeping; what is printed here is in the log, and fails a test.
        err().println("m2 " + line + ": " + complaint);
      }
    }
    Terminal.ofProcess();
  }
}
