package io.malleable.server;

import io.malleable.control.Rows.Counts;
import io.malleable.control.Space;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/** {@code /v1/system}. */
final class SystemRoutes {
  private final Context context;
  private final ServerFacts facts;

  SystemRoutes(Context context, ServerFacts facts) {
    this.context = context;
    this.facts = facts;
  }

  List<Route> routes() {
    return List.of(Route.of("GET", "/v1/system", this::system));
  }

  private Answer system(Call call) throws IOException {
    Space space = context.control().space();
    Counts counts = context.control().counts();
    return Answer.json(
        200,
        new SystemBody(
            facts.version(),
            facts.startedAt(),
            Duration.between(facts.startedAt(), Instant.now()).toSeconds(),
            facts.dataDirectory().toString(),
            facts.labDirectory().toString(),
            new SystemBody.Addresses(facts.apiAddress(), facts.bootAddress(), facts.iscsiAddress()),
            new SystemBody.Space(
                space.capacity().totalBytes(),
                space.capacity().availableBytes(),
                space.capacity().allocatedBytes(),
                space.sharedBytes(),
                space.provisionedBytes()),
            new SystemBody.Counts(
                counts.projects(),
                counts.images(),
                counts.disks(),
                counts.snapshots(),
                counts.nodes(),
                counts.operations(),
                facts.target().sessions())));
  }
}
