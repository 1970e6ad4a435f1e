package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A client that we did not build our own on, and that holds each answer against openapi.yaml. */
final class TestApi implements AutoCloseable {
  static final ObjectMapper JSON = new ObjectMapper();

  private static final Duration LIMIT = Duration.ofMinutes(2);

  private final HttpClient client = HttpClient.newHttpClient();
  private final String base;
  private final String token;
  private final OpenApiDocument document;

  TestApi(String base, String token) throws IOException, InterruptedException {
    this.base = base;
    this.token = token;
    HttpResponse<String> yaml =
        client.send(
            HttpRequest.newBuilder(URI.create(base + "/openapi.yaml")).timeout(LIMIT).build(),
            BodyHandlers.ofString());
    this.document = OpenApiDocument.parse(yaml.body());
  }

  /** An answer; {@code body} is missing when there was none. */
  record Reply(int status, JsonNode body, HttpResponse<String> raw) {
    String header(String name) {
      return raw.headers().firstValue(name).orElse("");
    }

    String code() {
      return body.path("code").asText();
    }

    Reply expect(int wanted) {
      assertEquals(wanted, status, () -> raw.request().method() + " " + raw.uri() + ": " + body);
      return this;
    }

    Reply expectProblem(int wanted, String code) {
      expect(wanted);
      assertEquals(code, code(), body::toString);
      return this;
    }
  }

  OpenApiDocument document() {
    return document;
  }

  Reply get(String path, String... headers) throws IOException, InterruptedException {
    return send("GET", path, null, headers);
  }

  Reply post(String path, String body, String... headers) throws IOException, InterruptedException {
    return send("POST", path, body.replace('\'', '"'), headers);
  }

  Reply patch(String path, String body, String... headers)
      throws IOException, InterruptedException {
    return send("PATCH", path, body.replace('\'', '"'), headers);
  }

  Reply delete(String path, String... headers) throws IOException, InterruptedException {
    return send("DELETE", path, null, headers);
  }

  Reply send(
      String method, String path, @org.jspecify.annotations.Nullable String body, String... headers)
      throws IOException, InterruptedException {
    return send(
        request(path, headers)
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
            .build());
  }

  HttpRequest.Builder request(String path, String... headers) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path)).timeout(LIMIT);
    if (List.of(headers).stream().noneMatch("Authorization"::equals)) {
      request.header("Authorization", "Bearer " + token);
    }
    if (headers.length > 0) {
      request.headers(headers);
    }
    return request;
  }

  HttpClient client() {
    return client;
  }

  /** Sends, and checks the answer against the API's own description. */
  Reply send(HttpRequest request) throws IOException, InterruptedException {
    HttpResponse<String> raw = client.send(request, BodyHandlers.ofString());
    String type = raw.headers().firstValue("Content-Type").orElse("");
    JsonNode body =
        raw.body().isEmpty()
            ? MissingNode.getInstance()
            : type.contains("json") ? JSON.readTree(raw.body()) : JSON.valueToTree(raw.body());
    String path = raw.uri().getRawPath();
    assertEquals(List.of(), document.faults(request.method(), path, raw.statusCode(), type, body));
    return new Reply(raw.statusCode(), body, raw);
  }

  /** Waits for the end of the operation that a call answered with. */
  JsonNode finished(Reply accepted) throws IOException, InterruptedException {
    accepted.expect(202);
    return finished(accepted.header("Location"));
  }

  JsonNode finished(String location) throws IOException, InterruptedException {
    while (true) {
      JsonNode operation = get(location + "?wait=30").expect(200).body();
      if (List.of("succeeded", "failed", "aborted").contains(operation.path("state").asText())) {
        return operation;
      }
    }
  }

  JsonNode succeeded(Reply accepted) throws IOException, InterruptedException {
    JsonNode operation = finished(accepted);
    assertEquals("succeeded", operation.path("state").asText(), operation::toString);
    return operation;
  }

  /** Names of all items of a list, through all pages of that size. */
  List<String> names(String path, int pageSize) throws IOException, InterruptedException {
    List<String> names = new ArrayList<>();
    String cursor = "";
    do {
      JsonNode page = get(path + "?limit=" + pageSize + cursor).expect(200).body();
      page.path("items").forEach(item -> names.add(item.path("name").asText()));
      cursor = page.has("next") ? "&cursor=" + page.path("next").asText() : "";
    } while (!cursor.isEmpty());
    return names;
  }

  @Override
  public void close() {
    client.close();
  }
}
