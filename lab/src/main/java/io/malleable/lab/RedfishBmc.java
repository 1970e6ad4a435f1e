package io.malleable.lab;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.malleable.hardware.PowerDriver;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A Redfish service (DSP0266) for one machine of the lab, which to everybody else looks like the
 * BMC of a server: HTTPS with a certificate of its own, sessions, power and boot override.
 */
public final class RedfishBmc implements AutoCloseable {
  private static final Logger LOG = System.getLogger(RedfishBmc.class.getName());
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int MAX_BODY_BYTES = 64 * 1024;

  /** As few as real BMCs have: a client that forgets to give them back will notice. */
  static final int MAX_SESSIONS = 4;

  private static final String ROOT = "/redfish/v1";
  private static final String SESSIONS = ROOT + "/SessionService/Sessions";
  private static final String TASKS = ROOT + "/TaskService/Tasks";

  /** How this BMC differs from others, for tests of clients. */
  public enum Trait {
    /** It knows no sessions, so the account comes with each request. */
    WITHOUT_SESSIONS,
    /** A reset is answered by 202 and goes on as a task. */
    RESETS_AS_TASKS,
    /** A PATCH needs If-Match. */
    NEEDS_ETAG
  }

  /**
   * Who may log in.
   *
   * @param password given by whoever starts the BMC; not a secret of the installation
   */
  public record Account(String user, String password) {
    @Override
    public String toString() {
      return user;
    }
  }

  private final HttpsServer server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final SelfSignedCertificate certificate;
  private final Account account;
  private final RedfishMachine machine;
  private final Set<Trait> traits;
  private final Map<String, String> tokensBySession = new LinkedHashMap<>();
  private final AtomicInteger refusedLogIns = new AtomicInteger();
  private final AtomicInteger taskPolls = new AtomicInteger();

  private RedfishBmc(
      HttpsServer server,
      SelfSignedCertificate certificate,
      Account account,
      RedfishMachine machine,
      Set<Trait> traits) {
    this.server = server;
    this.certificate = certificate;
    this.account = account;
    this.machine = machine;
    this.traits = traits;
  }

  /**
   * Starts a BMC.
   *
   * @param listen where; port 0 takes a free one
   * @param directory keeps its certificate
   * @param driver the machine behind it
   */
  public static RedfishBmc start(
      InetSocketAddress listen,
      Path directory,
      Account account,
      PowerDriver driver,
      Trait... traits)
      throws IOException {
    return start(listen, directory, account, driver, target -> {}, traits);
  }

  /** The same, for a machine whose firmware follows the boot override. */
  static RedfishBmc start(
      InetSocketAddress listen,
      Path directory,
      Account account,
      PowerDriver driver,
      RedfishMachine.BootSource bootSource,
      Trait... traits)
      throws IOException {
    String address = listen.getAddress().getHostAddress();
    SelfSignedCertificate certificate = SelfSignedCertificate.in(directory, address);
    HttpsServer server = HttpsServer.create(listen, 16);
    server.setHttpsConfigurator(new HttpsConfigurator(certificate.serverContext()));
    String name = directory.getFileName().toString();
    RedfishBmc bmc =
        new RedfishBmc(
            server,
            certificate,
            account,
            new RedfishMachine(name, driver, bootSource),
            Set.of(traits));
    server.createContext("/", bmc::answer);
    server.setExecutor(bmc.threads);
    server.start();
    return bmc;
  }

  public InetSocketAddress address() {
    return server.getAddress();
  }

  /** The certificate for those who shall trust it. */
  public String certificatePem() throws IOException {
    return certificate.pem();
  }

  int openSessions() {
    synchronized (tokensBySession) {
      return tokensBySession.size();
    }
  }

  int refusedLogIns() {
    return refusedLogIns.get();
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }

  private void answer(HttpExchange exchange) throws IOException {
    // Closing an exchange of which either stream was never asked for cuts the connection, which
    // the client may be about to use again.
    try (exchange;
        InputStream _ = exchange.getRequestBody();
        OutputStream _ = exchange.getResponseBody()) {
      // RFC 9112 9.6: who is asked to close says so; the JDK's server closes without a word.
      String wish = exchange.getRequestHeaders().getFirst("Connection");
      if ("close".equalsIgnoreCase(wish)) {
        exchange.getResponseHeaders().set("Connection", "close");
      }
      try {
        route(exchange);
      } catch (RedfishMachine.RefusedException e) {
        fail(exchange, 400, String.valueOf(e.getMessage()));
      } catch (JsonProcessingException e) {
        fail(exchange, 400, "The body is not JSON.");
      } catch (IOException | RuntimeException e) {
        LOG.log(Level.WARNING, "a BMC of the lab failed", e);
        fail(exchange, 500, "The machine could not be switched.");
      }
    }
  }

  private void route(HttpExchange exchange) throws IOException, RedfishMachine.RefusedException {
    String path = exchange.getRequestURI().getRawPath();
    path = path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    String request = exchange.getRequestMethod() + " " + path;
    boolean open =
        request.equals("GET /redfish")
            || request.equals("GET " + ROOT)
            || request.equals("POST " + SESSIONS);
    if (!open && !authorized(exchange)) {
      refusedLogIns.incrementAndGet();
      fail(exchange, 401, "The account is not known.");
      return;
    }
    switch (request) {
      case "GET /redfish" -> send(exchange, 200, JSON.createObjectNode().put("v1", ROOT + "/"));
      case "GET " + ROOT -> send(exchange, 200, serviceRoot());
      case "GET " + ROOT + "/Systems" ->
          send(
              exchange,
              200,
              collection(ROOT + "/Systems", "ComputerSystemCollection", RedfishMachine.PATH));
      case "GET " + RedfishMachine.PATH -> send(exchange, 200, machine.show());
      case "PATCH " + RedfishMachine.PATH -> patch(exchange);
      case "POST " + RedfishMachine.RESET -> reset(exchange);
      case "GET " + ROOT + "/SessionService" -> send(exchange, 200, sessionService());
      case "GET " + SESSIONS -> send(exchange, 200, sessions());
      case "POST " + SESSIONS -> logIn(exchange);
      case "GET " + TASKS + "/1" -> task(exchange);
      default -> {
        if (request.startsWith("DELETE " + SESSIONS + "/")) {
          logOut(exchange, path);
        } else {
          fail(exchange, 404, "There is no " + path + ".");
        }
      }
    }
  }

  private ObjectNode serviceRoot() {
    ObjectNode root =
        RedfishMachine.resource(
            ROOT + "/", "ServiceRoot.v1_5_0.ServiceRoot", "RootService", "Root");
    root.put("RedfishVersion", "1.6.0").put("Vendor", "M2");
    root.put(
        "UUID", UUID.nameUUIDFromBytes(account.user().getBytes(StandardCharsets.UTF_8)).toString());
    root.putObject("Systems").put("@odata.id", ROOT + "/Systems");
    if (!traits.contains(Trait.WITHOUT_SESSIONS)) {
      root.putObject("SessionService").put("@odata.id", ROOT + "/SessionService");
      root.putObject("Links").putObject("Sessions").put("@odata.id", SESSIONS);
    }
    return root;
  }

  private static ObjectNode collection(String path, String type, String... members) {
    ObjectNode collection =
        RedfishMachine.resource(path, type + "." + type, type, path.substring(ROOT.length() + 1));
    collection.put("Members@odata.count", members.length);
    var array = collection.putArray("Members");
    for (String member : members) {
      array.addObject().put("@odata.id", member);
    }
    return collection;
  }

  private static ObjectNode sessionService() {
    ObjectNode service =
        RedfishMachine.resource(
            ROOT + "/SessionService",
            "SessionService.v1_1_6.SessionService",
            "SessionService",
            "Sessions");
    service.put("ServiceEnabled", true).put("SessionTimeout", 300);
    service.putObject("Sessions").put("@odata.id", SESSIONS);
    return service;
  }

  private ObjectNode sessions() {
    synchronized (tokensBySession) {
      String[] members =
          tokensBySession.keySet().stream().map(id -> SESSIONS + "/" + id).toArray(String[]::new);
      return collection(SESSIONS, "SessionCollection", members);
    }
  }

  private void logIn(HttpExchange exchange) throws IOException {
    if (traits.contains(Trait.WITHOUT_SESSIONS)) {
      fail(exchange, 405, "There are no sessions.");
      return;
    }
    JsonNode body = body(exchange);
    boolean known =
        same(
            body.path("UserName").asText() + "\n" + body.path("Password").asText(),
            account.user() + "\n" + account.password());
    if (!known) {
      refusedLogIns.incrementAndGet();
      fail(exchange, 401, "The account is not known.");
      return;
    }
    byte[] random = new byte[24];
    new SecureRandom().nextBytes(random);
    String token = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
    String id = UUID.randomUUID().toString();
    synchronized (tokensBySession) {
      if (tokensBySession.size() >= MAX_SESSIONS) {
        fail(exchange, 503, "There are no sessions left.");
        return;
      }
      tokensBySession.put(id, token);
    }
    exchange.getResponseHeaders().set("X-Auth-Token", token);
    exchange.getResponseHeaders().set("Location", SESSIONS + "/" + id);
    ObjectNode session =
        RedfishMachine.resource(SESSIONS + "/" + id, "Session.v1_3_0.Session", id, "Session");
    send(exchange, 201, session.put("UserName", account.user()));
  }

  private void logOut(HttpExchange exchange, String path) throws IOException {
    synchronized (tokensBySession) {
      tokensBySession.remove(path.substring(path.lastIndexOf('/') + 1));
    }
    sendNothing(exchange);
  }

  private boolean authorized(HttpExchange exchange) {
    String token = exchange.getRequestHeaders().getFirst("X-Auth-Token");
    if (token != null) {
      synchronized (tokensBySession) {
        return tokensBySession.values().stream().anyMatch(each -> same(each, token));
      }
    }
    String pair = account.user() + ":" + account.password();
    String basic =
        "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
    String given = exchange.getRequestHeaders().getFirst("Authorization");
    return given != null && same(given, basic);
  }

  private static boolean same(String a, String b) {
    return MessageDigest.isEqual(
        a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));
  }

  private void patch(HttpExchange exchange) throws IOException, RedfishMachine.RefusedException {
    boolean conditional = exchange.getRequestHeaders().getFirst("If-Match") != null;
    if (traits.contains(Trait.NEEDS_ETAG) && !conditional) {
      fail(exchange, 428, "If-Match is missing.");
      return;
    }
    machine.patch(body(exchange));
    send(exchange, 200, machine.show());
  }

  private void reset(HttpExchange exchange) throws IOException, RedfishMachine.RefusedException {
    machine.reset(body(exchange));
    if (traits.contains(Trait.RESETS_AS_TASKS)) {
      taskPolls.set(0);
      exchange.getResponseHeaders().set("Location", "https://bmc.invalid" + TASKS + "/1");
      send(exchange, 202, taskNode("Running"));
    } else {
      sendNothing(exchange);
    }
  }

  /** Running at the first look, completed at the second. */
  private void task(HttpExchange exchange) throws IOException {
    boolean done = taskPolls.incrementAndGet() > 1;
    send(exchange, done ? 200 : 202, taskNode(done ? "Completed" : "Running"));
  }

  private static ObjectNode taskNode(String state) {
    return RedfishMachine.resource(TASKS + "/1", "Task.v1_5_0.Task", "1", "Reset")
        .put("TaskState", state);
  }

  private static JsonNode body(HttpExchange exchange) throws IOException {
    return JSON.readTree(exchange.getRequestBody().readNBytes(MAX_BODY_BYTES));
  }

  private static void fail(HttpExchange exchange, int status, String message) throws IOException {
    ObjectNode error = JSON.createObjectNode();
    ObjectNode inner = error.putObject("error");
    inner.put("code", "Base.1.8.GeneralError").put("message", message);
    inner.putArray("@Message.ExtendedInfo").addObject().put("Message", message);
    send(exchange, status, error);
  }

  private static void sendNothing(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(204, -1);
  }

  private static void send(HttpExchange exchange, int status, ObjectNode json) throws IOException {
    byte[] bytes = JSON.writeValueAsBytes(json);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.getResponseHeaders().set("OData-Version", "4.0");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }
}
