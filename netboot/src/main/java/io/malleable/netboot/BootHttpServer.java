package io.malleable.netboot;

import io.helidon.common.socket.PeerInfo;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.RequestException;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.malleable.http.BusyAnswer;
import io.malleable.http.HttpLimits;
import io.malleable.http.HttpListener;
import io.malleable.http.RequestBody;
import io.malleable.http.RequestPath;
import io.malleable.netboot.BootListener.Link;
import io.malleable.netboot.BootListener.LoaderServed;
import io.malleable.netboot.BootScripts.Origin;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
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

  /** A loader of a megabyte at 10 KB/s: slower links do not boot. */
  private static final Duration MAX_ANSWER = Duration.ofMinutes(2);

  /** cloud-init sends the host's public keys and its names: a few kilobytes. */
  private static final int MAX_BODY_BYTES = 16 << 10;

  private static final int MAX_QUERY_FIELDS = 32;
  private static final int FIRST_BACK_OFF_SECONDS = 5;
  private static final int MAX_BACK_OFF_SECONDS = 60;

  private static final BusyAnswer BUSY =
      new BusyAnswer(
          BootReply.TEXT, "the boot listener has all the connections that it may have\n");

  private final BootHttpConfig config;
  private final BootDirectory directory;
  private final BootListener listener;
  private final Neighbours neighbours;
  private final HttpListener http;

  private BootHttpServer(
      BootHttpConfig config, BootDirectory directory, BootListener listener, Neighbours neighbours)
      throws IOException {
    this.neighbours = neighbours;
    this.config = config;
    this.directory = directory;
    this.listener = listener;
    HttpLimits limits = HttpLimits.of(config.maxConnections()).withAnswer(MAX_ANSWER);
    this.http =
        HttpListener.start(
            config.listen(), new HttpListener.Settings("boot", limits, BUSY), this::handle);
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
    try {
      return new BootHttpServer(config, directory, listener, neighbours);
    } catch (IOException e) {
      throw new IOException(
          "boot listener cannot use %s: %s; choose another --boot-http address"
              .formatted(config.listen(), e.getMessage()),
          e);
    }
  }

  /** Where the listener is bound, with its real port. */
  public InetSocketAddress address() {
    return http.address();
  }

  /** Connections of machines now. */
  public int connections() {
    return http.connections();
  }

  /** Stops listening; requests in progress are cut off. */
  @Override
  public void close() {
    http.close();
  }

  private void handle(ServerRequest request, ServerResponse response) {
    BootReply reply;
    try {
      reply = answer(request);
    } catch (CloseConnectionException | RequestException | HttpException broken) {
      // The peer's doing: there is nobody to answer, or the protocol knows what to answer.
      throw broken;
    } catch (IOException | RuntimeException bug) {
      LOG.log(Level.ERROR, () -> "boot request failed: " + request.path().rawPath(), bug);
      reply = BootReply.error(500, "internal error; the server's log has the cause");
    }
    send(request, response, reply);
  }

  private BootReply answer(ServerRequest request) throws IOException {
    Optional<String> decoded = decode(RequestPath.raw(request).replace("+", "%2B"));
    if (decoded.isEmpty() || !decoded.get().startsWith("/")) {
      return BootReply.error(400, "the path is not well encoded");
    }
    String path = decoded.get();
    if (path.equals("/phone-home") || path.startsWith("/phone-home/")) {
      return phoneHome(request, path);
    }
    String method = method(request);
    if (!method.equals("GET") && !method.equals("HEAD")) {
      return BootReply.notAllowed("GET, HEAD");
    }
    if (path.equals("/boot.ipxe") || path.equals("/autoexec.ipxe")) {
      int waitSeconds = (int) config.retryInterval().toSeconds();
      return BootReply.script(BootScripts.entry(origin(request).base(), waitSeconds));
    }
    if (path.startsWith("/boot/") && path.endsWith(".ipxe")) {
      return machineScript(request, path);
    }
    String name = path.substring(1);
    return LoaderDirectory.isLoader(name)
        ? loader(request, name)
        : BootReply.error(404, "no such file");
  }

  private BootReply machineScript(ServerRequest asked, String path) {
    String pathMac = path.substring("/boot/".length(), path.length() - ".ipxe".length());
    Optional<BootRequest> parsed = BootRequest.parse(pathMac, fields(asked.query().rawValue()));
    if (parsed.isEmpty()) {
      return BootReply.error(404, "not a MAC address; expected /boot/52-54-00-12-34-56.ipxe");
    }
    BootRequest request = parsed.get();
    BootPlan plan = new BootPlan.Unknown();
    for (MacAddress mac : request.nics()) {
      plan = directory.planFor(mac, link(asked).remote());
      if (!(plan instanceof BootPlan.Unknown)) {
        request = request.as(mac);
        break;
      }
    }
    plan = withheldFromOthers(plan, request.mac(), asked);
    String script = BootScripts.forMachine(plan, request, origin(asked), wait(plan, request));
    if (method(asked).equals("GET")) {
      report(asked, request, plan);
    }
    return BootReply.script(script);
  }

  /**
   * A script with a secret goes to a machine of the node only, as far as the link tells: claiming
   * somebody's address in the URL is not enough. Any interface of the node will do.
   */
  private BootPlan withheldFromOthers(BootPlan plan, MacAddress claimed, ServerRequest request) {
    if (!(plan instanceof BootPlan.Provisioned provisioned)) {
      return plan;
    }
    InetAddress from = link(request).remote();
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
        link(request).remote().getHostAddress(),
        provisioned.node(),
        claimed);
    return new BootPlan.Wait(
        provisioned.node(), "the request came from another machine, " + sender.get());
  }

  private void report(ServerRequest asked, BootRequest request, BootPlan plan) {
    Link link = link(asked);
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
            origin(asked).base()));
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

  private BootReply loader(ServerRequest request, String name) throws IOException {
    try {
      byte[] content = config.loaders().read(name);
      if (method(request).equals("GET")) {
        Link link = link(request);
        listener.onLoader(new LoaderServed(name, "http", neighbours.find(link.remote()), link));
      }
      return BootReply.loader(content);
    } catch (NoSuchFileException missing) {
      LOG.log(Level.WARNING, "{0} asked for {1}", link(request).remote(), missing.getMessage());
      return BootReply.error(404, "this boot loader is not installed on the server");
    }
  }

  private BootReply phoneHome(ServerRequest request, String path) throws IOException {
    String method = method(request);
    boolean hasToken = path.length() > "/phone-home/".length();
    if (!method.equals("POST") && !(hasToken && method.equals("GET"))) {
      return BootReply.notAllowed(hasToken ? "GET, POST" : "POST");
    }
    byte[] body;
    // Not closed: that would read on, and what is left is the listener's to throw away.
    InputStream in = RequestBody.of(request);
    body = in.readNBytes(MAX_BODY_BYTES + 1);
    if (body.length > MAX_BODY_BYTES) {
      return BootReply.error(
          BootReply.TOO_LARGE, "a report must be at most " + MAX_BODY_BYTES + " bytes");
    }
    Map<String, String> fields = fields(new String(body, StandardCharsets.UTF_8));
    boolean known =
        listener.onPhoneHome(
            new BootListener.PhoneHome(
                hasToken ? Optional.of(path.substring("/phone-home/".length())) : Optional.empty(),
                Optional.ofNullable(fields.get("mac")).flatMap(MacAddress::parse),
                link(request)));
    return known ? BootReply.accepted() : BootReply.error(404, "no node waits for this report");
  }

  private Origin origin(ServerRequest request) {
    int port = http.address().getPort();
    return config
        .advertise()
        .map(host -> Origin.advertised(host, port))
        .orElseGet(() ->
            Origin.reached(request.headers().first(HeaderNames.HOST), link(request).local(), port));
  }

  private static String method(ServerRequest request) {
    return request.prologue().method().text();
  }

  private static Link link(ServerRequest request) {
    return new Link(address(request.remotePeer()), address(request.localPeer()));
  }

  private static InetAddress address(PeerInfo peer) {
    return ((InetSocketAddress) peer.address()).getAddress();
  }

  private static void send(ServerRequest request, ServerResponse response, BootReply reply) {
    response.status(Status.create(reply.status()));
    response.header(HeaderNames.CONTENT_TYPE, reply.contentType());
    response.header(HeaderNames.CACHE_CONTROL, "no-store");
    reply.allow().ifPresent(methods -> response.header(HeaderNames.ALLOW, methods));
    if (reply.status() == BootReply.TOO_LARGE) {
      // Then the rest of it need not be taken.
      response.header(HeaderValues.CONNECTION_CLOSE);
    }
    if (method(request).equals("HEAD")) {
      // UEFI sizes its buffer by the HEAD that precedes its GET.
      response.contentLength(reply.content().length);
      response.send();
    } else {
      response.send(reply.content());
    }
  }

  /** Fields of a query or a form; what is malformed or too many is left out. */
  private static Map<String, String> fields(String encoded) {
    Map<String, String> fields = new HashMap<>();
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
}
