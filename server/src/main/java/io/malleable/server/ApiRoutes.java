package io.malleable.server;

import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;

/** The table of everything that can be called. */
final class ApiRoutes {
  private ApiRoutes() {}

  static List<Route> of(ApiPorts ports, AccessToken token, PrometheusMeterRegistry registry) {
    Context context = new Context(ports.control());
    Uploads uploads = new Uploads(ports.uploads(), ports.reserveBytes(), InstantSource.system());
    ServerMetrics.register(registry, ports, token);
    List<Route> routes = new ArrayList<>();
    routes.addAll(
        new HealthRoutes(ports.serving(), ports.control()::failedVolumes, registry).routes());
    routes.addAll(new SystemRoutes(context, ports.facts()).routes());
    routes.addAll(new ProjectRoutes(context).routes());
    ImageRoutes images = new ImageRoutes(context);
    routes.addAll(images.routes());
    routes.addAll(new ImageSharingRoutes(context, images).routes());
    routes.addAll(new UploadRoutes(context, uploads).routes());
    routes.addAll(new ExportRoutes(context, ports.exports()).routes());
    routes.addAll(new ImageCheckRoutes(context, ports.checks()).routes());
    routes.addAll(new DiskRoutes(context, ports.portal()).routes());
    routes.addAll(new SnapshotRoutes(context, images).routes());
    routes.addAll(new NodeRoutes(context).routes());
    routes.addAll(new ConsoleRoutes(context, ports.consoles(), ports.serving()).routes());
    routes.addAll(new OperationRoutes(context, ports.serving()).routes());
    routes.addAll(new EventRoutes(context, ports.serving()).routes());
    return routes;
  }
}
