package io.malleable.server;

import io.malleable.http.BusyAnswer;
import io.malleable.http.HttpLimits;
import io.malleable.http.HttpListener;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;

/** The HTTP listener of the API. Requests run on virtual threads. */
public final class ApiServer implements AutoCloseable {
  private static final Duration GRACE_PERIOD = Duration.ofSeconds(2);

  private final HttpListener listener;

  private ApiServer(HttpListener listener) {
    this.listener = listener;
  }

  /**
   * Listens and serves.
   *
   * @param maxConnections of clients at once
   * @throws IOException if the address cannot be bound
   */
  public static ApiServer start(
      InetSocketAddress address, int maxConnections, AccessToken token, ApiPorts ports)
      throws IOException {
    PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    List<Route> routes = ApiRoutes.of(ports, token, registry);
    Dispatcher dispatcher =
        new Dispatcher(
            routes,
            token,
            new IdempotencyKeys(InstantSource.system()),
            new RequestMetrics(registry));
    Uploads.dropLeftovers(ports.uploads(), ports.control().images().uploadsInUse());
    HttpListener.Settings settings =
        new HttpListener.Settings("api", HttpLimits.of(maxConnections), busy());
    return new ApiServer(HttpListener.start(address, settings, dispatcher));
  }

  private static BusyAnswer busy() {
    Answer.Whole answer =
        Answer.problem(
            ApiException.of(
                    503,
                    "TOO_MANY_CONNECTIONS",
                    null,
                    "All connections that the API may have are busy.",
                    "Try again; m2 status shows how many there are of each listener.")
                .problem());
    return new BusyAnswer(answer.contentType(), answer.body());
  }

  /** The port that is listened on. */
  public int port() {
    return listener.address().getPort();
  }

  /** Connections of clients now. */
  public int connections() {
    return listener.connections();
  }

  @Override
  public void close() {
    listener.close(GRACE_PERIOD);
  }
}
