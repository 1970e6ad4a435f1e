package io.malleable.server;

import io.helidon.http.HeaderNames;
import io.helidon.http.HttpException;
import io.helidon.http.RequestException;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.malleable.http.RequestPath;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * The way of every request: route, token, query parameters, idempotency, handler, answer. Whatever
 * a handler throws becomes a problem here and nowhere else.
 */
final class Dispatcher implements Handler {
  private static final System.Logger LOG = System.getLogger(Dispatcher.class.getName());

  private final List<Route> routes;
  private final AccessToken token;
  private final IdempotencyKeys idempotency;
  private final RequestMetrics metrics;

  Dispatcher(
      List<Route> routes, AccessToken token, IdempotencyKeys idempotency, RequestMetrics metrics) {
    this.routes = List.copyOf(routes);
    this.token = token;
    this.idempotency = idempotency;
    this.metrics = metrics;
  }

  @Override
  public void handle(ServerRequest request, ServerResponse response) {
    long startNanos = System.nanoTime();
    String routeName = "none";
    Answer answer;
    try {
      Matched matched = route(request);
      routeName = matched.route().path();
      answer = answer(matched.route(), matched.call());
    } catch (CloseConnectionException | RequestException | HttpException broken) {
      // The peer's doing: there is nobody to answer, or the protocol knows what to answer.
      throw broken;
    } catch (Exception e) {
      answer = Refusals.answer(e);
    }
    send(response, answer);
    int status = answer instanceof Answer.Whole whole ? whole.status() : 200;
    metrics.onAnswer(
        request.prologue().method().text(), routeName, status, System.nanoTime() - startNanos);
  }

  private record Matched(Route route, Call call) {}

  private Matched route(ServerRequest request) {
    String method = request.prologue().method().text();
    List<String> segments = segments(RequestPath.raw(request));
    TreeSet<String> allowed = new TreeSet<>();
    for (Route route : routes) {
      Optional<Map<String, String>> variables = route.match(segments);
      if (variables.isPresent()) {
        if (route.method().equals(method)) {
          return new Matched(route, new Call(request, variables.get()));
        }
        allowed.add(route.method());
      }
    }
    if (allowed.isEmpty()) {
      throw ApiException.of(
          404,
          "PATH_UNKNOWN",
          null,
          "There is nothing at " + request.path().path() + ".",
          "See /openapi.yaml for what there is.");
    }
    String methods = String.join(", ", allowed);
    throw ApiException.of(
            405,
            "METHOD_NOT_ALLOWED",
            null,
            method + " is not possible here.",
            "Use " + methods + ".")
        .withHeader("Allow", methods);
  }

  private Answer answer(Route route, Call call) throws Exception {
    if (!route.open()) {
      token.require(call.header("Authorization").orElse(null));
    }
    for (String name : call.queryNames()) {
      if (!route.query().contains(name)) {
        throw ApiException.of(
            400,
            "PARAMETER_UNKNOWN",
            name,
            "The query parameter " + name + " is not known here.",
            route.query().isEmpty()
                ? "This call takes none."
                : "Known: " + String.join(", ", new TreeSet<>(route.query())) + ".");
      }
    }
    Optional<String> key = call.header("Idempotency-Key");
    if (key.isEmpty() || !route.method().equals("POST")) {
      return route.handler().handle(call);
    }
    return answerOnce(route, call, IdempotencyKeys.scope(call, key.get()));
  }

  private Answer answerOnce(Route route, Call call, String scope) {
    Optional<Answer.Whole> before = idempotency.begin(scope, call.bytes());
    if (before.isPresent()) {
      return before.get().with("Idempotency-Replayed", "true");
    }
    Answer.Whole whole = null;
    try {
      Answer answer;
      try {
        answer = route.handler().handle(call);
      } catch (CloseConnectionException | RequestException | HttpException broken) {
        throw broken;
      } catch (Exception e) {
        answer = Refusals.answer(e);
      }
      whole = answer instanceof Answer.Whole complete ? complete : null;
      return answer;
    } finally {
      idempotency.finish(scope, whole);
    }
  }

  private static void send(ServerResponse response, Answer answer) {
    switch (answer) {
      case Answer.Whole whole -> {
        response.status(Status.create(whole.status()));
        whole.headers().forEach((name, value) -> response.header(HeaderNames.create(name), value));
        if (whole.body().isEmpty()) {
          response.send();
        } else {
          response.header(HeaderNames.CONTENT_TYPE, whole.contentType());
          response.send(whole.body().getBytes(StandardCharsets.UTF_8));
        }
      }
      case Answer.Stream stream -> {
        response.header(HeaderNames.CONTENT_TYPE, stream.contentType());
        response.header(HeaderNames.CACHE_CONTROL, "no-store");
        if (stream.lengthBytes() >= 0) {
          response.contentLength(stream.lengthBytes());
        }
        try (OutputStream out = response.outputStream()) {
          stream.writer().write(out);
        } catch (IOException | UncheckedIOException e) {
          LOG.log(Level.DEBUG, "a client hung up on its stream", e);
          if (stream.lengthBytes() >= 0) {
            // Or we failed: the client must not wait for the rest, nor take the next answer for it.
            throw new CloseConnectionException("a body broke off", e);
          }
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  private static List<String> segments(String rawPath) {
    List<String> segments = new ArrayList<>();
    for (String raw : rawPath.substring(1).split("/", -1)) {
      try {
        segments.add(URLDecoder.decode(raw.replace("+", "%2B"), StandardCharsets.UTF_8));
      } catch (IllegalArgumentException e) {
        throw ApiException.of(
            400, "PATH_INVALID", null, "The path is not well encoded.", "Check its % signs.");
      }
    }
    return segments;
  }
}
