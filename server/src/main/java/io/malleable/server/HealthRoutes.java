package io.malleable.server;

import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.IntSupplier;

/** What needs no token: health, metrics, the API's description. */
final class HealthRoutes {
  private final BooleanSupplier ready;
  private final IntSupplier failedVolumes;
  private final PrometheusMeterRegistry registry;

  /**
   * Answers at once, whatever the store does.
   *
   * @param failedVolumes how many take no writes now
   */
  HealthRoutes(BooleanSupplier ready, IntSupplier failedVolumes, PrometheusMeterRegistry registry) {
    this.ready = ready;
    this.failedVolumes = failedVolumes;
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
    // Some disks of some tenants: that must not take the API from all the others.
    int failed = failedVolumes.getAsInt();
    return Answer.text(
        "text/plain",
        failed == 0
            ? "ready\n"
            : "ready\nfailed volumes that take no writes: " + failed + ", see GET /v1/system\n");
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
