package io.malleable.netboot;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.malleable.netboot.BootListener.Link;
import io.malleable.netboot.BootListener.LoaderServed;
import io.malleable.netboot.BootScripts.Origin;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The HTTP listener that machines reach while they boot, and nothing else.
 *
 * <p>It faces machines that nobody has checked, so it keeps no state of them, serves a fixed set of
 * names and bounds everything: connections, header size, body size and the time for each. One
 * virtual thread serves one request.
 *
 * <pre>
 *   GET|HEAD  /boot.ipxe, /autoexec.ipxe   entry script for any machine
 *   GET|HEAD  /boot/{mac}.ipxe             script of one machine
 *   GET|HEAD  /{loader}                    ipxe.efi, snponly.efi, undionly.kpxe, ...
 *   GET|POST  /phone-home/{token}          a running system reports that it is up
 *   POST      /phone-home                  the same, known by its mac field or its address
 * </pre>
 */
public final class BootHttpServer implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(BootHttpServer.class.getName());

  private static final int MAX_HEADER_BYTES = 16 << 10;
  private static final int MAX_HEADERS = 64;
  private static final int MAX_REQUEST_SECONDS = 15;

  /** A loader of a megabyte at 10 KB/s: slower links do not boot. */
  private static final int MAX_RESPONSE_SECONDS = 120;

  /** cloud-init sends the host's public keys and its names: a few kilobytes. */
  private static final int MAX_BODY_BYTES = 64 << 10;

  private static final int MAX_QUERY_FIELDS = 32;
  private static final int ACCEPT_BACKLOG = 1024;
  private static final int FIRST_BACK_OFF_SECONDS = 5;
  private static final int MAX_BACK_OFF_SECONDS = 60;

  static {
    // The JDK's server reads its bounds from system properties, once, when its classes load; by
    // default it waits for ever for a request.
    bound("sun.net.httpserver.maxReqHeaderSize", MAX_HEADER_BYTES);
    bound("sun.net.httpserver.maxReqHeaders", MAX_HEADERS);
    bound("sun.net.httpserver.maxReqTime", MAX_REQUEST_SECONDS);
    bound("sun.net.httpserver.maxRspTime", MAX_RESPONSE_SECONDS);
  }

  private final BootHttpConfig config;
  private final BootDirectory directory;
  private final BootListener listener;
  private final Neighbours neighbours;
  private final HttpServer server;
  private final ExecutorService executor;

  private BootHttpServer(
      BootHttpConfig config, BootDirectory directory, BootListener listener, Neighbours neighbours)
      throws IOException {
    this.neighbours = neighbours;
    this.config = config;
    this.directory = directory;
    this.listener = listener;
    // Read when its classes load, that is, now, as the bounds above.
    bound("jdk.httpserver.maxConnections", config.maxConnections());
    this.server = HttpServer.create(config.listen(), ACCEPT_BACKLOG);
    this.executor =
        Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("boot-http-", 0).factory());
  }

  /**
   * Listens and serves until {@link #close()}.
   *
   * @throws IOException when the address cannot be bound; names it
   */
  public static BootHttpServer start(
      BootHttpConfig config, BootDirectory directory, BootListener listener) throws IOException {
    return start(config, directory, listener, Neighbours.ofKernel());
  }

  static BootHttpServer start(
      BootHttpConfig config, BootDirectory directory, BootListener listener, Neighbours neighbours)
      throws IOException {
    BootHttpServer boot;
    try {
      boot = new BootHttpServer(config, directory, listener, neighbours);
    } catch (IOException e) {
      throw new IOException(
          "boot listener cannot use %s: %s; choose another --boot-http address"
              .formatted(config.listen(), e.getMessage()),
          e);
    }
    boot.server.createContext("/", boot::handle);
    boot.server.setExecutor(boot.executor);
    boot.server.start();
    return boot;
  }

  /** Where the listener is bound, with its real port. */
  public InetSocketAddress address() {
    return server.getAddress();
  }

  /** Stops listening; requests in progress are cut off. */
  @Override
  public void close() {
    server.stop(0);
    executor.shutdownNow();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      BootReply reply;
      try {
        reply = answer(exchange);
      } catch (RuntimeException bug) {
        LOG.log(Level.ERROR, () -> "boot request failed: " + exchange.getRequestURI(), bug);
        reply = BootReply.error(500, "internal error; the server's log has the cause");
      }
      send(exchange, reply);
    }
  }

  private BootReply answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    if (path.equals("/phone-home") || path.startsWith("/phone-home/")) {
      return phoneHome(exchange, path);
    }
    String method = exchange.getRequestMethod();
    if (!method.equals("GET") && !method.equals("HEAD")) {
      return BootReply.notAllowed("GET, HEAD");
    }
    if (path.equals("/boot.ipxe") || path.equals("/autoexec.ipxe")) {
      int waitSeconds = (int) config.retryInterval().toSeconds();
      return BootReply.script(BootScripts.entry(origin(exchange).base(), waitSeconds));
    }
    if (path.startsWith("/boot/") && path.endsWith(".ipxe")) {
      return machineScript(exchange, path);
    }
    String name = path.substring(1);
    return LoaderDirectory.isLoader(name)
        ? loader(exchange, name)
        : BootReply.error(404, "no such file");
  }

  private BootReply machineScript(HttpExchange exchange, String path) {
    String pathMac = path.substring("/boot/".length(), path.length() - ".ipxe".length());
    Optional<BootRequest> parsed =
        BootRequest.parse(pathMac, fields(exchange.getRequestURI().getRawQuery()));
    if (parsed.isEmpty()) {
      return BootReply.error(404, "not a MAC address; expected /boot/52-54-00-12-34-56.ipxe");
    }
    BootRequest request = parsed.get();
    BootPlan plan = new BootPlan.Unknown();
    for (MacAddress mac : request.nics()) {
      plan = directory.planFor(mac, exchange.getRemoteAddress().getAddress());
      if (!(plan instanceof BootPlan.Unknown)) {
        request = request.as(mac);
        break;
      }
    }
    plan = withheldFromOthers(plan, request.mac(), exchange);
    String script = BootScripts.forMachine(plan, request, origin(exchange), wait(plan, request));
    if (exchange.getRequestMethod().equals("GET")) {
      report(exchange, request, plan);
    }
    return BootReply.script(script);
  }

  /**
   * A script with a secret goes to a machine of the node only, as far as the link tells: claiming
   * somebody's address in the URL is not enough. Any interface of the node will do.
   */
  private BootPlan withheldFromOthers(BootPlan plan, MacAddress claimed, HttpExchange exchange) {
    if (!(plan instanceof BootPlan.Provisioned provisioned)) {
      return plan;
    }
    InetAddress from = exchange.getRemoteAddress().getAddress();
    Optional<MacAddress> sender = neighbours.find(from);
    if (sender.isEmpty()
        || sender.get().equals(claimed)
        || (directory.planFor(sender.get(), from) instanceof BootPlan.Provisioned own
            && own.target().equals(provisioned.target()))) {
      return plan;
    }
    LOG.log(
        Level.WARNING,
        "{0} at {1} asked for the boot script of {2} ({3}); refused",
        sender.get(),
        exchange.getRemoteAddress().getAddress().getHostAddress(),
        provisioned.node(),
        claimed);
    return new BootPlan.Wait(
        provisioned.node(), "the request came from another machine, " + sender.get());
  }

  private void report(HttpExchange exchange, BootRequest request, BootPlan plan) {
    Link link = link(exchange);
    if (request.driveFailed()) {
      listener.onDriveFailed(
          new BootListener.DriveFailed(request.mac(), request.attempt() - 1, link));
    }
    listener.onScript(
        new BootListener.ScriptServed(
            request.mac(),
            request.nics(),
            request.uuid(),
            request.firmware(),
            request.attempt(),
            plan,
            link,
            origin(exchange).base()));
  }

  /** Seconds before the machine asks again: doubling for a drive that fails, with 20% jitter. */
  private int wait(BootPlan plan, BootRequest request) {
    int seconds =
        plan instanceof BootPlan.Provisioned
            ? Math.min(
                MAX_BACK_OFF_SECONDS,
                FIRST_BACK_OFF_SECONDS << Math.clamp(request.attempt() - 1, 0, 4))
            : (int) config.retryInterval().toSeconds();
    int jitter = seconds / 5;
    return seconds + ThreadLocalRandom.current().nextInt(-jitter, jitter + 1);
  }

  private BootReply loader(HttpExchange exchange, String name) throws IOException {
    try {
      byte[] content = config.loaders().read(name);
      if (exchange.getRequestMethod().equals("GET")) {
        Link link = link(exchange);
        listener.onLoader(new LoaderServed(name, "http", neighbours.find(link.remote()), link));
      }
      return BootReply.loader(content);
    } catch (NoSuchFileException missing) {
      LOG.log(
          Level.WARNING, "{0} asked for {1}", exchange.getRemoteAddress(), missing.getMessage());
      return BootReply.error(404, "this boot loader is not installed on the server");
    }
  }

  private BootReply phoneHome(HttpExchange exchange, String path) throws IOException {
    String method = exchange.getRequestMethod();
    boolean hasToken = path.length() > "/phone-home/".length();
    if (!method.equals("POST") && !(hasToken && method.equals("GET"))) {
      return BootReply.notAllowed(hasToken ? "GET, POST" : "POST");
    }
    byte[] body;
    try (InputStream in = exchange.getRequestBody()) {
      body = in.readNBytes(MAX_BODY_BYTES + 1);
    }
    if (body.length > MAX_BODY_BYTES) {
      return BootReply.error(413, "a report must be at most " + MAX_BODY_BYTES + " bytes");
    }
    Map<String, String> fields = fields(new String(body, StandardCharsets.UTF_8));
    boolean known =
        listener.onPhoneHome(
            new BootListener.PhoneHome(
                hasToken ? Optional.of(path.substring("/phone-home/".length())) : Optional.empty(),
                Optional.ofNullable(fields.get("mac")).flatMap(MacAddress::parse),
                link(exchange)));
    return known ? BootReply.accepted() : BootReply.error(404, "no node waits for this report");
  }

  private Origin origin(HttpExchange exchange) {
    int port = exchange.getLocalAddress().getPort();
    return config
        .advertise()
        .map(host -> Origin.advertised(host, port))
        .orElseGet(() ->
            Origin.reached(
                Optional.ofNullable(exchange.getRequestHeaders().getFirst("Host")),
                exchange.getLocalAddress().getAddress(),
                port));
  }

  private static Link link(HttpExchange exchange) {
    return new Link(
        exchange.getRemoteAddress().getAddress(), exchange.getLocalAddress().getAddress());
  }

  private static void send(HttpExchange exchange, BootReply reply) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", reply.contentType());
    exchange.getResponseHeaders().set("Cache-Control", "no-store");
    reply.allow().ifPresent(methods -> exchange.getResponseHeaders().set("Allow", methods));
    if (exchange.getRequestMethod().equals("HEAD")) {
      // UEFI sizes its buffer by the HEAD that precedes its GET.
      exchange.getResponseHeaders().set("Content-Length", Integer.toString(reply.content().length));
      exchange.sendResponseHeaders(reply.status(), -1);
      return;
    }
    exchange.sendResponseHeaders(
        reply.status(), reply.content().length == 0 ? -1 : reply.content().length);
    if (reply.content().length > 0) {
      try (OutputStream out = exchange.getResponseBody()) {
        out.write(reply.content());
      }
    }
  }

  /** Fields of a query or a form; what is malformed or too many is left out. */
  private static Map<String, String> fields(String encoded) {
    Map<String, String> fields = new HashMap<>();
    if (encoded == null) {
      return fields;
    }
    for (String field : encoded.split("&", MAX_QUERY_FIELDS + 1)) {
      int equals = field.indexOf('=');
      if (equals > 0 && fields.size() < MAX_QUERY_FIELDS) {
        decode(field.substring(0, equals))
            .ifPresent(name ->
                decode(field.substring(equals + 1))
                    .ifPresent(value -> fields.putIfAbsent(name, value)));
      }
    }
    return fields;
  }

  private static Optional<String> decode(String text) {
    try {
      return Optional.of(URLDecoder.decode(text, StandardCharsets.UTF_8));
    } catch (IllegalArgumentException malformed) {
      return Optional.empty();
    }
  }

  private static void bound(String property, int value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, Integer.toString(value));
    }
  }
}
