package io.malleable.server;

import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.BooleanSupplier;

/** What needs no token: health, metrics, the API's description. */
final class HealthRoutes {
  private final BooleanSupplier ready;
  private final PrometheusMeterRegistry registry;

  HealthRoutes(BooleanSupplier ready, PrometheusMeterRegistry registry) {
    this.ready = ready;
    this.registry = registry;
  }

  List<Route> routes() {
    return List.of(
        Route.open("GET", "/healthz", call -> Answer.text("text/plain", "ok\n")),
        Route.open("GET", "/readyz", this::ready),
        Route.open(
            "GET",
            "/metrics",
            call -> Answer.text("text/plain; version=0.0.4; charset=utf-8", registry.scrape())),
        Route.open("GET", "/openapi.yaml", call -> Answer.text("application/yaml", openapi())));
  }

  private Answer ready(Call call) {
    if (!ready.getAsBoolean()) {
      throw ApiException.of(
          503, "NOT_READY", null, "The server starts or stops.", "Ask again in a moment.");
    }
    return Answer.text("text/plain", "ready\n");
  }

  static String openapi() {
    try (InputStream in = HealthRoutes.class.getResourceAsStream("/openapi.yaml")) {
      if (in == null) {
        throw new IllegalStateException("openapi.yaml is missing from the class path");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
