package io.malleable.server;

import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

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
   * @param ready whether the whole server serves, for {@code /readyz}
   * @throws java.io.UncheckedIOException if the address cannot be bound
   */
  public static ApiServer start(
      InetSocketAddress address, AccessToken token, BooleanSupplier ready) {
    PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    List<Route> routes = new ArrayList<>(new HealthRoutes(ready, registry).routes());
    Dispatcher dispatcher =
        new Dispatcher(
            routes,
            token,
            new IdempotencyKeys(InstantSource.system()),
            new RequestMetrics(registry));
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
    return new ApiServer(server);
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
