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
    // The rest is what helps to find out why.
    String fault = null;
    Long sharedBytes = null;
    SystemBody.Damaged damaged = null;
    try {
      sharedBytes = context.control().sharedBytes();
      damaged = SystemBody.Damaged.of(context.control().damaged());
    } catch (ControlException e) {
      fault = fault("what is shared or damaged", e);
    }
    SystemBody.Space space = null;
    try {
      space = SystemBody.Space.of(context.control().space(), sharedBytes);
    } catch (IOException | ControlException e) {
      fault = fault("how full it is", e);
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

  private static String fault(String what, Exception e) {
    LOG.log(System.Logger.Level.WARNING, "the store does not say " + what, e);
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}
