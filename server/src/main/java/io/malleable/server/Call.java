package io.malleable.server;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerRequest;
import io.malleable.control.PageRequest;
import io.malleable.http.RequestBody;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One request, with everything that a peer can send checked on access. Owned by its thread. */
final class Call {
  static final String DEFAULT_PROJECT = "default";

  private static final int MAX_BODY_BYTES = 1024 * 1024;
  private static final long BODY_DEADLINE_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final ServerRequest request;
  private final Map<String, String> variables;
  private byte @Nullable [] body;

  Call(ServerRequest request, Map<String, String> variables) {
    this.request = request;
    this.variables = variables;
  }

  String method() {
    return request.prologue().method().text();
  }

  String path() {
    return request.path().path();
  }

  /** As it came, in the order and the encoding that the client chose. */
  String pathAndQuery() {
    String query = request.query().rawValue();
    return query.isEmpty() ? path() : path() + "?" + query;
  }

  String variable(String name) {
    return Objects.requireNonNull(variables.get(name), name);
  }

  Optional<String> header(String name) {
    return request.headers().first(HeaderNames.create(name));
  }

  /** Name of the project to act in. */
  String project() {
    return header("M2-Project").map(String::strip).orElse(DEFAULT_PROJECT);
  }

  Optional<String> query(String name) {
    return request.query().contains(name)
        ? Optional.of(request.query().get(name))
        : Optional.empty();
  }

  Iterable<String> queryNames() {
    return request.query().names();
  }

  boolean flag(String name) {
    String text = query(name).orElse("false");
    return switch (text) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw ApiException.of(
              400,
              "PARAMETER_INVALID",
              name,
              text,
              "The query parameter " + name + " is " + text + ".",
              "Use true or false.");
    };
  }

  int number(String name, int least, int most, int otherwise) {
    Optional<String> text = query(name);
    if (text.isEmpty()) {
      return otherwise;
    }
    try {
      int value = Integer.parseInt(text.get());
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Answered below, as a number out of range is.
    }
    throw ApiException.of(
        400,
        "PARAMETER_INVALID",
        name,
        text.get(),
        "The query parameter " + name + " is " + text.get() + ".",
        "Use a whole number from " + least + " to " + most + ".");
  }

  PageRequest page() {
    return new PageRequest(
        query("cursor"), number("limit", 1, PageRequest.MAX_LIMIT, PageRequest.DEFAULT_LIMIT));
  }

  boolean accepts(String contentType) {
    return header("Accept").map(accept -> accept.contains(contentType)).orElse(false);
  }

  /** The body as an object of that shape. */
  <T> T body(Class<T> type) {
    return Json.read(bytes(), type);
  }

  /** Whether a body was sent at all. */
  boolean hasBody() {
    return bytes().length > 0;
  }

  boolean bodyHas(String field) {
    return Json.has(bytes(), field);
  }

  /** The whole body, at most 1 MiB and within 30 s. */
  byte[] bytes() {
    byte[] known = body;
    if (known == null) {
      known = readBounded(RequestBody.of(request));
      body = known;
    }
    return known;
  }

  /** The body as it comes; not together with {@link #bytes()}. */
  InputStream content() {
    return RequestBody.of(request);
  }

  /** Address of ours that the client reached: the host that it asked for. */
  String localHost() {
    String authority = request.authority();
    int bracket = authority.lastIndexOf(']');
    int colon = authority.lastIndexOf(':');
    return colon > bracket ? authority.substring(0, colon) : authority;
  }

  private static byte[] readBounded(InputStream in) {
    long start = System.nanoTime();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] chunk = new byte[8192];
    try (in) {
      for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
        out.write(chunk, 0, n);
        if (out.size() > MAX_BODY_BYTES) {
          throw ApiException.of(
              413, "BODY_TOO_LARGE", null, "The body is larger than 1 MiB.", "Send less.");
        }
        if (System.nanoTime() - start > BODY_DEADLINE_NANOS) {
          throw ApiException.of(
              408, "BODY_TOO_SLOW", null, "The body did not arrive within 30 s.", "Try again.");
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }
}
