package io.malleable.hardware;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLHandshakeException;
import org.jspecify.annotations.Nullable;

/**
 * One log-in at a Redfish service (DSP0266). It asks for a session, of which BMCs have few, and
 * gives it back when closed; a service without sessions gets the account with each request. Not for
 * several threads at once.
 */
final class RedfishSession implements Closeable {
  private static final Logger LOG = System.getLogger(RedfishSession.class.getName());
  private static final ObjectMapper JSON = new ObjectMapper();

  /** The largest resources that we read, systems with all their links, have some 30 KiB. */
  private static final int MAX_BODY_BYTES = 1 << 20;

  private static final String ROOT = "/redfish/v1/";

  private final BmcAddress.Redfish address;
  private final HttpClient client;
  private final Duration limit;
  private final JsonNode serviceRoot;

  /** Sent with each request: a token, or the account itself. */
  private @Nullable String authorizationHeader;

  private String authorization = "";
  private @Nullable String sessionPath;

  private RedfishSession(BmcAddress.Redfish address, HttpClient client, Duration limit)
      throws IOException {
    this.address = address;
    this.client = client;
    this.limit = limit;
    this.serviceRoot = required(send("GET", ROOT, null, null)).body();
  }

  static RedfishSession open(
      BmcAddress.Redfish address, HttpClient client, Secret password, Duration limit)
      throws IOException {
    RedfishSession session = new RedfishSession(address, client, limit);
    session.logIn(password);
    return session;
  }

  /** Readable by anybody, before any log-in. */
  JsonNode serviceRoot() {
    return serviceRoot;
  }

  private void logIn(Secret password) throws IOException {
    String sessions = serviceRoot.path("Links").path("Sessions").path("@odata.id").asText();
    if (sessions.startsWith("/")) {
      ObjectNode account = JSON.createObjectNode();
      account.put("UserName", address.user()).put("Password", password.reveal());
      RedfishAnswer answer = send("POST", sessions, account, null);
      String token = answer.headers().firstValue("X-Auth-Token").orElse("");
      if (answer.succeeded() && !token.isEmpty()) {
        authorizationHeader = "X-Auth-Token";
        authorization = token;
        sessionPath = answer.location().orElse(null);
        return;
      }
      if (answer.status() != 404 && answer.status() != 405 && answer.status() != 501) {
        throw failure(answer);
      }
    }
    LOG.log(Level.DEBUG, "{0} has no sessions; the account goes with each request", name());
    byte[] pair = new Secret(address.user() + ":" + password.reveal()).revealUtf8();
    authorizationHeader = "Authorization";
    authorization = "Basic " + Base64.getEncoder().encodeToString(pair);
  }

  String name() {
    return address.host() + ":" + address.port();
  }

  JsonNode get(String path) throws IOException {
    return required(send("GET", path, null, null)).body();
  }

  /** A POST that has taken effect: one that goes on as a task is waited for. */
  void post(String path, JsonNode body, Duration taskLimit) throws IOException {
    RedfishAnswer answer = required(send("POST", path, body, null));
    if (answer.status() == 202) {
      awaitTask(answer, taskLimit);
    }
  }

  /**
   * A PATCH as it was answered, so that the caller can try another way.
   *
   * @param etag for {@code If-Match}, or null for none
   */
  RedfishAnswer patch(String path, JsonNode body, @Nullable String etag) throws IOException {
    return send("PATCH", path, body, etag);
  }

  /** Follows the task monitor of DSP0266, 12.2, until it no longer answers 202. */
  void awaitTask(RedfishAnswer accepted, Duration taskLimit) throws IOException {
    String monitor =
        accepted.location().orElseGet(() -> accepted.body().path("@odata.id").asText());
    if (!monitor.startsWith("/")) {
      return; // Nothing to follow; the caller reads the state back anyway.
    }
    long deadlineNanos = System.nanoTime() + taskLimit.toNanos();
    while (true) {
      RedfishAnswer answer = send("GET", monitor, null, null);
      String state = answer.body().path("TaskState").asText("Completed");
      if (answer.status() == 404 || answer.status() == 410) {
        return; // Done and forgotten.
      }
      required(answer);
      switch (state) {
        case "Exception", "Killed", "Cancelled" ->
            throw new PowerException(
                PowerException.Kind.REFUSED,
                "the BMC " + name() + " ended its task with " + state + ": " + answer.reason(),
                "look at the BMC's own event log");
        case "Completed" -> {
          if (answer.status() != 202) {
            return;
          }
        }
        default -> LOG.log(Level.DEBUG, "{0}: task is {1}", name(), state);
      }
      if (System.nanoTime() > deadlineNanos) {
        throw new PowerException(
            PowerException.Kind.NOT_APPLIED,
            "the BMC " + name() + " has not finished its task in " + taskLimit.toMillis() + " ms",
            "look at the BMC's own event log");
      }
      pause(Duration.ofMillis(200));
    }
  }

  RedfishAnswer required(RedfishAnswer answer) throws PowerException {
    if (!answer.succeeded()) {
      throw failure(answer);
    }
    return answer;
  }

  private RedfishAnswer send(
      String method, String path, @Nullable JsonNode body, @Nullable String etag)
      throws IOException {
    URI uri = URI.create("https://" + address.host() + ":" + address.port() + path);
    HttpRequest.Builder request = HttpRequest.newBuilder(uri).timeout(limit);
    request.header("Accept", "application/json").header("OData-Version", "4.0");
    if (authorizationHeader != null) {
      request.header(authorizationHeader, authorization);
    }
    if (etag != null) {
      request.header("If-Match", etag);
    }
    if (body == null) {
      request.method(method, HttpRequest.BodyPublishers.noBody());
    } else {
      request.header("Content-Type", "application/json");
      request.method(method, HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(body)));
    }
    // The request's own limit ends with the headers; this one covers a body that trickles.
    var handler =
        HttpResponse.BodyHandlers.limiting(HttpResponse.BodyHandlers.ofByteArray(), MAX_BODY_BYTES);
    CompletableFuture<HttpResponse<byte[]>> call = client.sendAsync(request.build(), handler);
    try {
      HttpResponse<byte[]> response = call.get(limit.toMillis(), TimeUnit.MILLISECONDS);
      return new RedfishAnswer(response.statusCode(), response.headers(), parse(response.body()));
    } catch (TimeoutException e) {
      throw unreachable("has not answered within " + limit.toMillis() + " ms", e);
    } catch (ExecutionException e) {
      throw networkFailure(e.getCause() == null ? e : e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while a BMC was asked");
    } finally {
      call.cancel(true);
    }
  }

  private static JsonNode parse(byte[] body) throws IOException {
    try {
      JsonNode json = JSON.readTree(body);
      return json == null ? MissingNode.getInstance() : json;
    } catch (JsonProcessingException e) {
      return MissingNode.getInstance(); // An error page; the status says enough.
    }
  }

  private PowerException networkFailure(Throwable cause) {
    for (Throwable t = cause; t != null; t = t.getCause()) {
      if (t instanceof SSLHandshakeException) {
        return new PowerException(
            PowerException.Kind.CONFIGURATION,
            "the certificate of the BMC " + name() + " is not trusted: " + t.getMessage(),
            "name its authority in the server's configuration, or end the node's bmc with"
                + " ?insecure=true to skip the check",
            cause);
      }
    }
    return unreachable("cannot be reached: " + cause.getMessage(), cause);
  }

  private PowerException unreachable(String what, Throwable cause) {
    return new PowerException(
        PowerException.Kind.UNREACHABLE,
        "the BMC " + name() + " " + what,
        "check its address and network",
        cause);
  }

  /** One table from HTTP's words to ours. */
  PowerException failure(RedfishAnswer answer) {
    String said = "the BMC " + name() + " said: " + answer.reason();
    return switch (answer.status()) {
      case 401 ->
          new PowerException(
              PowerException.Kind.AUTHENTICATION,
              "the BMC " + name() + " refused user " + address.user() + ": " + answer.reason(),
              "check the user and password kept for this BMC");
      case 403 ->
          new PowerException(
              PowerException.Kind.AUTHENTICATION, said, "give the account the role Operator");
      case 404 ->
          new PowerException(
              PowerException.Kind.CONFIGURATION, said, "check the path in the node's bmc");
      // Busy, starting, or short of memory: BMCs say so in all of these ways, and recover.
      case 429, 500, 502, 503, 504 ->
          new PowerException(
              PowerException.Kind.UNREACHABLE, said, "wait for the BMC, or restart it");
      default ->
          new PowerException(PowerException.Kind.REFUSED, said, "look at the BMC's own event log");
    };
  }

  static void pause(Duration time) throws IOException {
    try {
      Thread.sleep(time);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for a BMC");
    }
  }

  /** Gives the session back. One that cannot be given back expires by itself. */
  @Override
  public void close() {
    String path = sessionPath;
    if (path == null) {
      return;
    }
    sessionPath = null;
    try {
      required(send("DELETE", path, null, null));
    } catch (IOException e) {
      LOG.log(Level.DEBUG, () -> name() + " did not take its session back: " + e.getMessage());
    }
  }
}
