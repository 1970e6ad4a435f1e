package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The REST API of a server, by which commands do all that they do. Paths are templates: each <code>
 * {}</code> stands for one argument, which is encoded. Every method throws {@link ApiException}
 * when the server refuses, {@link CommandFailure} when it cannot be reached. Threads may share a
 * client.
 */
public final class ApiClient {
  private static final int READ_TIMEOUT_MILLIS = 100_000;

  /** After the last byte of an upload the server still makes it durable. */
  private static final int UPLOAD_TIMEOUT_MILLIS = 600_000;

  private static final int MAX_JSON_BYTES = 64 * 1024 * 1024;
  private static final int PAGE_ITEMS = 1000;
  private static final int COPY_BYTES = 256 * 1024;
  private static final HttpConnection.Body NOTHING = bytes(new byte[0]);

  private final JsonMapper mapper = new JsonMapper();
  private final Endpoint endpoint;

  /**
   * What the server answered.
   *
   * @param status HTTP status, 200 to 299
   * @param body the resource, or the operation when the status is 202; a missing node when there is
   *     no body
   */
  public record Answer(int status, JsonNode body) {
    static final int ACCEPTED = 202;

    /** Whether the work goes on as an operation. */
    public boolean isAccepted() {
      return status == ACCEPTED;
    }
  }

  /** A client that has not called anybody yet. */
  public ApiClient(Endpoint endpoint) {
    this.endpoint = endpoint;
  }

  /** The server that is called. */
  public Endpoint endpoint() {
    return endpoint;
  }

  /** An empty object to fill and send. */
  public ObjectNode object() {
    return mapper.createObjectNode();
  }

  /** No resource, as after a deletion. */
  public JsonNode nothing() {
    return MissingNode.getInstance();
  }

  /** GET one resource. */
  public JsonNode get(String path, String... arguments) {
    return call("GET", expand(path, arguments), null).body();
  }

  /** GET all items of a list, page by page. The path may have a query. */
  public List<JsonNode> list(String path, String... arguments) {
    String target = expand(path, arguments);
    String pages = target + (target.contains("?") ? "&" : "?") + "limit=" + PAGE_ITEMS;
    List<JsonNode> items = new ArrayList<>();
    String cursor = "";
    do {
      JsonNode page =
          call("GET", cursor.isEmpty() ? pages : pages + "&cursor=" + encode(cursor), null).body();
      page.path("items").forEach(items::add);
      cursor = page.path("next").asText("");
    } while (!cursor.isEmpty());
    return items;
  }

  /** POST, with a body or without ({@code null}). */
  public Answer post(@Nullable JsonNode body, String path, String... arguments) {
    return call("POST", expand(path, arguments), body);
  }

  /** PATCH. */
  public Answer patch(JsonNode body, String path, String... arguments) {
    return call("PATCH", expand(path, arguments), body);
  }

  /** PUT without a body. */
  public Answer put(String path, String... arguments) {
    return call("PUT", expand(path, arguments), null);
  }

  /** DELETE. */
  public Answer delete(String path, String... arguments) {
    return call("DELETE", expand(path, arguments), null);
  }

  /** POST of plain text. */
  public void postText(byte[] text, String path, String... arguments) {
    send("POST", expand(path, arguments), Map.of("Content-Type", "text/plain"), bytes(text));
  }

  /** GET whose answer is copied as it comes, until the server ends it. */
  public void stream(OutputStream out, String path, String... arguments) {
    // A console may be silent for as long as it likes.
    copy(out, 0, (_, _) -> {}, expand(path, arguments));
  }

  /** Hears how much of a file has come. */
  interface Received {
    /** {@code totalBytes} is negative when the server did not say. */
    void onBytes(long bytes, long totalBytes);
  }

  /** GET of a file; one that breaks off is an error. */
  void download(OutputStream out, Received received, String path, String... arguments) {
    copy(out, READ_TIMEOUT_MILLIS, received, expand(path, arguments));
  }

  private void copy(OutputStream out, int readTimeoutMillis, Received received, String target) {
    try (HttpConnection connection = HttpConnection.open(endpoint.url(), readTimeoutMillis)) {
      HttpConnection.Answer answer =
          connection.exchange("GET", target, headers(Map.of("Accept", "*/*")), NOTHING);
      refuse(answer);
      String length = answer.headers().getOrDefault("content-length", "");
      long total = length.matches("[0-9]{1,18}") ? Long.parseLong(length) : -1;
      byte[] buffer = new byte[COPY_BYTES];
      long bytes = 0;
      for (int count = answer.body().read(buffer); count >= 0; count = answer.body().read(buffer)) {
        out.write(buffer, 0, count);
        out.flush();
        bytes += count;
        received.onBytes(bytes, total);
      }
    } catch (IOException e) {
      throw Failures.unreachable(endpoint.url(), e);
    }
  }

  /**
   * GET a stream of server-sent events (WHATWG HTML 9.2); each one's data goes to {@code onEvent}
   * until the server ends it.
   */
  public void events(Consumer<JsonNode> onEvent, String path, String... arguments) {
    String target = expand(path, arguments);
    try (HttpConnection connection = HttpConnection.open(endpoint.url(), 0)) {
      HttpConnection.Answer answer =
          connection.exchange(
              "GET", target, headers(Map.of("Accept", "text/event-stream")), NOTHING);
      refuse(answer);
      BufferedReader lines =
          new BufferedReader(new InputStreamReader(answer.body(), StandardCharsets.UTF_8));
      StringBuilder data = new StringBuilder();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("data:")) {
          data.append(line, "data:".length(), line.length()).append('\n');
        } else if (line.isEmpty() && !data.isEmpty()) {
          onEvent.accept(mapper.readTree(data.toString()));
          data.setLength(0);
        }
        if (data.length() > MAX_JSON_BYTES) {
          throw new IOException("an event is longer than " + MAX_JSON_BYTES + " bytes");
        }
      }
    } catch (IOException e) {
      throw Failures.unreachable(endpoint.url(), e);
    }
  }

  /** A header of the answer to HEAD; {@code absent} when it is not there. */
  String head(String header, String absent, String path, String... arguments) {
    try (HttpConnection connection = HttpConnection.open(endpoint.url(), READ_TIMEOUT_MILLIS)) {
      HttpConnection.Answer answer =
          connection.exchange("HEAD", expand(path, arguments), headers(Map.of()), NOTHING);
      refuse(answer);
      return answer.headers().getOrDefault(header, absent);
    } catch (IOException e) {
      throw Failures.unreachable(endpoint.url(), e);
    }
  }

  /**
   * PUT of what {@code in} holds from where it stands.
   *
   * @param lengthBytes how much is sent
   * @param contentRange which part of the whole that is; {@code null} for all of it
   * @param sent told how many bytes have left so far
   */
  Answer put(
      InputStream in,
      long lengthBytes,
      @Nullable String contentRange,
      LongConsumer sent,
      String target) {
    Map<String, String> headers = new TreeMap<>(Map.of("Content-Type", "application/octet-stream"));
    if (contentRange != null) {
      headers.put("Content-Range", contentRange);
    }
    return send("PUT", target, headers, new Copied(in, lengthBytes, sent), UPLOAD_TIMEOUT_MILLIS);
  }

  private record Copied(InputStream in, long lengthBytes, LongConsumer sent)
      implements HttpConnection.Body {
    @Override
    public void writeTo(OutputStream out) throws IOException {
      byte[] buffer = new byte[COPY_BYTES];
      long done = 0;
      while (done < lengthBytes) {
        int count = in.read(buffer, 0, (int) Math.min(buffer.length, lengthBytes - done));
        if (count < 0) {
          throw new IOException("the file became shorter while it was sent");
        }
        out.write(buffer, 0, count);
        done += count;
        sent.accept(done);
      }
    }
  }

  private static HttpConnection.Body bytes(byte[] bytes) {
    return new Copied(new ByteArrayInputStream(bytes), bytes.length, _ -> {});
  }

  private Answer call(String method, String target, @Nullable JsonNode body) {
    try {
      return body == null
          ? send(method, target, Map.of(), NOTHING)
          : send(
              method,
              target,
              Map.of("Content-Type", "application/json"),
              bytes(mapper.writeValueAsBytes(body)));
    } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private Answer send(
      String method, String target, Map<String, String> more, HttpConnection.Body body) {
    return send(method, target, more, body, READ_TIMEOUT_MILLIS);
  }

  private Answer send(
      String method,
      String target,
      Map<String, String> more,
      HttpConnection.Body body,
      int readTimeoutMillis) {
    try (HttpConnection connection = HttpConnection.open(endpoint.url(), readTimeoutMillis)) {
      HttpConnection.Answer answer = connection.exchange(method, target, headers(more), body);
      refuse(answer);
      return new Answer(answer.status(), json(answer));
    } catch (IOException e) {
      throw Failures.unreachable(endpoint.url(), e);
    }
  }

  private Map<String, String> headers(Map<String, String> more) {
    Map<String, String> headers = new TreeMap<>();
    headers.put("Accept", "application/json");
    headers.put("M2-Project", endpoint.project());
    if (endpoint.token() != null) {
      headers.put("Authorization", "Bearer " + endpoint.token());
    }
    headers.putAll(more);
    return headers;
  }

  private void refuse(HttpConnection.Answer answer) throws IOException {
    if (answer.status() < 200 || answer.status() > 299) {
      throw ApiException.of(answer.status(), json(answer));
    }
  }

  private JsonNode json(HttpConnection.Answer answer) throws IOException {
    byte[] body = answer.body().readNBytes(MAX_JSON_BYTES + 1);
    if (body.length > MAX_JSON_BYTES) {
      throw new IOException("the answer is longer than " + MAX_JSON_BYTES + " bytes");
    }
    if (body.length == 0 || !answer.headers().getOrDefault("content-type", "").contains("json")) {
      return MissingNode.getInstance();
    }
    return mapper.readTree(body);
  }

  /** Puts the encoded arguments into the path. */
  static String expand(String path, String... arguments) {
    StringBuilder target = new StringBuilder(path.length() + 64);
    int from = 0;
    for (String argument : arguments) {
      int hole = path.indexOf("{}", from);
      if (hole < 0) {
        throw new IllegalArgumentException("more arguments than holes: " + path);
      }
      target.append(path, from, hole).append(encode(argument));
      from = hole + 2;
    }
    if (path.indexOf("{}", from) >= 0) {
      throw new IllegalArgumentException("more holes than arguments: " + path);
    }
    return target.append(path, from, path.length()).toString();
  }

  private static String encode(String text) {
    if (text.isEmpty()) {
      throw new CommandFailure("a name is empty", "Names have 1 to 63 characters: a-z 0-9 . _ -");
    }
    String encoded = URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    // A path segment of dots alone would be taken for a relative path.
    return encoded.matches("\\.{1,2}") ? encoded.replace(".", "%2E") : encoded;
  }
}
