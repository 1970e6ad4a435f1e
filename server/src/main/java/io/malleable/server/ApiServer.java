package io.malleable.server;

import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;

/** The HTTP listener of the API. Requests run on virtual threads. */
public final class ApiServer implements AutoCloseable {
  private static final int MAX_HEADERS_BYTES = 16 * 1024;
  private static final int MAX_CONNECTIONS = 2048;
  private static final Duration READ_TIMEOUT = Duration.ofSeconds(60);
  private static final Duration GRACE_PERIOD = Duration.ofSeconds(2);
  private static final Duration IDLE_TIMEOUT = Duration.ofMinutes(5);

  private final WebServer server;

  private ApiServer(WebServer server) {
    this.server = server;
  }

  /**
   * Listens and serves.
   *
   * @throws IOException if the address cannot be bound
   */
  public static ApiServer start(InetSocketAddress address, AccessToken token, ApiPorts ports)
      throws IOException {
    PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    List<Route> routes = ApiRoutes.of(ports, token, registry);
    Dispatcher dispatcher =
        new Dispatcher(
            routes,
            token,
            new IdempotencyKeys(InstantSource.system()),
            new RequestMetrics(registry));
    requireFree(address);
    Uploads.dropLeftovers(ports.uploads(), ports.control().images().uploadsInUse());
    WebServer server =
        WebServer.builder()
            .shutdownHook(false)
            .address(address.getAddress())
            .port(address.getPort())
            .shutdownGracePeriod(GRACE_PERIOD)
            .maxTcpConnections(MAX_CONNECTIONS)
            .idleConnectionTimeout(IDLE_TIMEOUT)
            .connectionOptions(options -> options.readTimeout(READ_TIMEOUT).tcpNoDelay(true))
            .protocolsDiscoverServices(false)
            .addProtocol(Http1Config.builder().maxHeadersSize(MAX_HEADERS_BYTES).build())
            .routing(HttpRouting.builder().any(dispatcher))
            .build()
            .start();
    if (!server.isRunning()) {
      throw new IOException("the listener did not start; the log has the cause");
    }
    return new ApiServer(server);
  }

  /** The web server only logs that it cannot bind; who starts us has to know why. */
  private static void requireFree(InetSocketAddress address) throws IOException {
    try (ServerSocket probe = new ServerSocket()) {
      probe.setReuseAddress(true);
      probe.bind(address);
    }
  }

  /** The port that is listened on. */
  public int port() {
    return server.port();
  }

  @Override
  public void close() {
    server.stop();
  }
}
