package io.malleable.server;

import io.malleable.control.ControlException;
import io.malleable.control.Rows.Counts;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/** {@code /v1/system}. */
final class SystemRoutes {
  private static final System.Logger LOG = System.getLogger(SystemRoutes.class.getName());

  private final Context context;
  private final ServerFacts facts;

  SystemRoutes(Context context, ServerFacts facts) {
    this.context = context;
    this.facts = facts;
  }

  List<Route> routes() {
    return List.of(Route.of("GET", "/v1/system", this::system));
  }

  private Answer system(Call call) {
    SystemBody.Space space = null;
    SystemBody.Damaged damaged = null;
    String fault = null;
    try {
      space = SystemBody.Space.of(context.control().space());
      damaged = SystemBody.Damaged.of(context.control().damaged());
    } catch (IOException | ControlException e) {
      // The rest is what helps to find out why.
      LOG.log(
          System.Logger.Level.WARNING,
          "the store does not say how full it is, or what is damaged",
          e);
      fault = e.getMessage() == null ? e.toString() : e.getMessage();
    }
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
            space,
            fault,
            damaged,
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
