package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** A real HTTP server with answers that a test prepares, and the commands run against it. */
final class StandInServer implements AutoCloseable {
  static final String TOKEN = "token-of-the-test";

  private final HttpServer server;
  private final Map<String, Queue<Prepared>> prepared = new ConcurrentHashMap<>();
  private final List<Request> requests = new CopyOnWriteArrayList<>();
  private final Map<String, String> environment = new HashMap<>();

  /** A request as it arrived. */
  record Request(String line, Map<String, String> headers, String body) {
    JsonNode json() throws IOException {
      return new JsonMapper().readTree(body);
    }
  }

  /** What a command did. */
  record Outcome(int status, String out, String err) {
    JsonNode json() throws IOException {
      return new JsonMapper().readTree(out);
    }
  }

  private record Prepared(int status, String type, Map<String, String> headers, String body) {}

  StandInServer() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
    environment.put("M2_URL", url());
    environment.put("M2_TOKEN", TOKEN);
  }

  String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  /** The next answer to a request line; the last one that was prepared for it stays. */
  StandInServer on(String line, int status, String json) {
    return on(
        line,
        status,
        status < 400 ? "application/json" : "application/problem+json",
        Map.of(),
        json);
  }

  StandInServer on(String line, int status, String type, Map<String, String> headers, String body) {
    prepared
        .computeIfAbsent(line, _ -> new ArrayDeque<>())
        .add(new Prepared(status, type, headers, body));
    return this;
  }

  StandInServer environment(String name, String value) {
    environment.put(name, value);
    return this;
  }

  List<Request> requests() {
    return requests;
  }

  List<String> lines() {
    return requests.stream().map(Request::line).toList();
  }

  Request only() {
    if (requests.size() != 1) {
      throw new AssertionError("expected one request, got " + lines());
    }
    return requests.getFirst();
  }

  /** Runs a command with words separated by spaces. */
  Outcome run(String words) {
    return run(new Terminal(environment, false, 100), words.split(" ", -1));
  }

  Outcome run(Terminal terminal, String... words) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status =
        M2Command.run(words, Map.of(), terminal, new PrintWriter(out), new PrintWriter(err));
    return new Outcome(status, out.toString(), err.toString());
  }

  Map<String, String> environment() {
    return environment;
  }

  private void answer(HttpExchange exchange) {
    try (exchange) {
      Map<String, String> headers = new HashMap<>();
      exchange
          .getRequestHeaders()
          .forEach((name, values) ->
              headers.put(name.toLowerCase(java.util.Locale.ROOT), values.getFirst()));
      String line = exchange.getRequestMethod() + " " + exchange.getRequestURI();
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      requests.add(new Request(line, headers, body));
      Queue<Prepared> queue = prepared.get(line);
      Prepared reply =
          queue == null
              ? new Prepared(
                  404,
                  "application/problem+json",
                  Map.of(),
                  "{\"code\":\"NOT_PREPARED\",\"detail\":\"no answer to " + line + "\"}")
              : queue.size() > 1 ? queue.remove() : queue.element();
      exchange.getResponseHeaders().add("Content-Type", reply.type());
      reply.headers().forEach(exchange.getResponseHeaders()::add);
      byte[] bytes = reply.body().getBytes(StandardCharsets.UTF_8);
      boolean empty = reply.status() == 204 || exchange.getRequestMethod().equals("HEAD");
      exchange.sendResponseHeaders(
          reply.status(), empty ? -1 : bytes.length == 0 ? -1 : bytes.length);
      if (!empty && bytes.length > 0) {
        exchange.getResponseBody().write(bytes);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
