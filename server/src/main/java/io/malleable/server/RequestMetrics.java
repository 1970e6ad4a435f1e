package io.malleable.server;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Counts and times requests; routes, not paths, keep the number of series bounded. */
final class RequestMetrics {
  private static final Set<String> METHODS =
      Set.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE");

  private final MeterRegistry registry;

  RequestMetrics(MeterRegistry registry) {
    this.registry = registry;
  }

  void onAnswer(String method, String route, int status, long nanos) {
    String known = METHODS.contains(method) ? method : "other";
    Timer.builder("m2.http.requests")
        .description("Requests of the API")
        .tag("method", known)
        .tag("route", route)
        .tag("status", Integer.toString(status))
        .register(registry)
        .record(nanos, TimeUnit.NANOSECONDS);
  }
}
