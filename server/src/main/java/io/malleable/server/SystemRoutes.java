package io.malleable.server;

import io.malleable.control.Control;
import io.malleable.control.ControlException;
import io.malleable.control.Rows.Counts;
import io.malleable.control.Space;
import io.malleable.control.VolumesByKind;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

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
    Set<String> faults = new LinkedHashSet<>();
    Control control = context.control();
    Long sharedBytes = said("what is shared", control::sharedBytes, faults);
    VolumesByKind damaged = said("what is damaged", control::damaged, faults);
    Space space = said("how full it is", control::space, faults);
    Counts counts = context.control().counts();
    ServerFacts.DescriptorFacts descriptors = facts.descriptors();
    return Answer.json(
        200,
        new SystemBody(
            facts.version(),
            facts.startedAt(),
            Duration.between(facts.startedAt(), Instant.now()).toSeconds(),
            facts.dataDirectory().toString(),
            facts.labDirectory().toString(),
            new SystemBody.Addresses(facts.apiAddress(), facts.bootAddress(), facts.iscsiAddress()),
            space == null ? null : SystemBody.Space.of(space, sharedBytes),
            faults.isEmpty() ? null : String.join("; ", faults),
            SystemBody.StoreFull.of(facts.storeFull()),
            damaged == null ? null : SystemBody.Volumes.of(damaged),
            SystemBody.Volumes.of(control.failed()),
            SystemBody.Descriptors.of(descriptors),
            SystemBody.Listener.of(descriptors),
            new SystemBody.Counts(
                counts.projects(),
                counts.images(),
                counts.disks(),
                counts.snapshots(),
                counts.nodes(),
                counts.operations(),
                facts.target().sessions())));
  }

  private interface Question<T> {
    T ask() throws IOException;
  }

  /** The answer, or null and a fault more. */
  private static <T> @Nullable T said(String what, Question<T> question, Set<String> faults) {
    try {
      return question.ask();
    } catch (IOException | ControlException e) {
      LOG.log(System.Logger.Level.WARNING, "the store does not say " + what, e);
      faults.add(e.getMessage() == null ? e.toString() : e.getMessage());
      return null;
    }
  }
}
