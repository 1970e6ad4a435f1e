package io.malleable.server;

import io.malleable.control.Ancestor;
import io.malleable.control.Disk;
import io.malleable.control.DiskOrigin;
import io.malleable.control.Disks;
import io.malleable.control.Operation;
import io.malleable.control.WriteCache;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;

/** {@code /v1/disks}. */
final class DiskRoutes {
  private static final long PATIENCE_MILLIS = 2_000;

  private final Context context;
  private final Disks disks;
  private final PortalAddress portal;

  DiskRoutes(Context context, PortalAddress portal) {
    this.context = context;
    this.disks = context.control().disks();
    this.portal = portal;
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", "/v1/disks", this::list, "limit", "cursor", "deleted"),
        Route.of("POST", "/v1/disks", this::create),
        Route.of("GET", "/v1/disks/{disk}", this::get),
        Route.of("PATCH", "/v1/disks/{disk}", this::change),
        Route.of("DELETE", "/v1/disks/{disk}", this::delete, "purge"),
        Route.of("POST", "/v1/disks/{disk}/expose", this::expose),
        Route.of("POST", "/v1/disks/{disk}/withdraw", this::withdraw),
        Route.of("GET", "/v1/disks/{disk}/reservations", this::reservations),
        Route.of("DELETE", "/v1/disks/{disk}/reservations", this::clearReservations),
        Route.of("POST", "/v1/disks/{disk}/rollback", this::rollback),
        Route.of("POST", "/v1/disks/{disk}/flatten", this::flatten),
        Route.of("POST", "/v1/disks/{disk}/undelete", this::undelete));
  }

  private Answer list(Call call) {
    UUID project = context.project(call);
    return Answer.json(
        200,
        PageBody.of(
            call.flag("deleted")
                ? disks.listTrash(project, call.page())
                : disks.list(project, call.page()),
            disk ->
                DiskBody.of(
                    disk,
                    context.control().purgeAt(disk),
                    Optional.empty(),
                    DiskBody.AtTarget.UNTOLD,
                    Optional.empty())));
  }

  private Answer create(Call call) {
    DiskBody.Create wanted = call.body(DiskBody.Create.class);
    String name = Required.field("name", wanted.name());
    String image = wanted.image();
    String snapshot = wanted.snapshot();
    Required.oneOf(List.of("image", "snapshot"), image, snapshot);
    DiskOrigin origin =
        image != null
            ? new DiskOrigin.OfImage(image)
            : new DiskOrigin.OfSnapshot(Required.field("snapshot", snapshot));
    UUID project = context.project(call);
    Operation operation =
        context.start(
            call,
            project,
            () -> disks.create(project, name, origin, Optional.ofNullable(wanted.sizeBytes())));
    return Context.outcome(
        operation,
        () -> {
          Disk disk = disks.get(project, operation.subject().id().toString());
          return answer(call, 201, disk).with("Location", "/v1/disks/" + disk.id());
        });
  }

  private Answer get(Call call) {
    return answer(call, 200, disks.get(context.project(call), call.variable("disk")));
  }

  private Answer change(Call call) {
    DiskBody.Change wanted = call.body(DiskBody.Change.class);
    UUID project = context.project(call);
    // The id: the name may be what changes.
    String id = disks.get(project, call.variable("disk")).id().toString();
    Optional<Long> revision = Context.expectedRevision(call);
    String name = wanted.name();
    Long sizeBytes = wanted.sizeBytes();
    if (sizeBytes != null) {
      Operation operation = disks.resize(project, id, sizeBytes, revision);
      Answer.Whole resized =
          Context.outcome(operation, () -> answer(call, 200, disks.get(project, id)));
      if (name == null || resized.status() != 200) {
        return resized;
      }
      return answer(call, 200, disks.rename(project, id, name, Optional.empty()));
    }
    if (name != null) {
      return answer(call, 200, disks.rename(project, id, name, revision));
    }
    throw ApiException.of(
        400,
        "FIELD_MISSING",
        "name",
        "There is nothing to change.",
        "Give name, sizeBytes or both.");
  }

  private Answer delete(Call call) {
    UUID project = context.project(call);
    Disks.Deletion deletion = call.flag("purge") ? Disks.Deletion.PURGE : Disks.Deletion.TRASH;
    return Context.outcome(
        context.start(call, project, () -> disks.delete(project, call.variable("disk"), deletion)),
        Answer::none);
  }

  private Answer expose(Call call) throws InterruptedException {
    UUID project = context.project(call);
    Disk disk = disks.get(project, call.variable("disk"));
    Optional<WriteCache> wanted =
        call.hasBody()
            ? Optional.ofNullable(call.body(DiskBody.Expose.class).writeCache())
                .map(cache -> cache ? WriteCache.WRITE_BACK : WriteCache.WRITE_THROUGH)
            : Optional.empty();
    if (disk.use() instanceof Disk.Use.Exposed use
        && wanted.map(use.writeCache()::equals).orElse(true)
        && disks.exposure(project, disk.id().toString()).isPresent()) {
      return answer(call, 200, disk);
    }
    WriteCache writeCache = wanted.orElse(WriteCache.WRITE_THROUGH);
    return act(call, _ -> () -> disks.expose(project, call.variable("disk"), writeCache));
  }

  private Answer withdraw(Call call) throws InterruptedException {
    return act(call, project -> () -> disks.withdraw(project, call.variable("disk")));
  }

  private Answer reservations(Call call) {
    return Answer.json(
        200,
        disks
            .reservations(context.project(call), call.variable("disk"))
            .map(ReservationsBody::of)
            .orElse(ReservationsBody.NONE));
  }

  private Answer clearReservations(Call call) {
    disks.clearReservations(context.project(call), call.variable("disk"));
    return Answer.none();
  }

  private Answer rollback(Call call) throws InterruptedException {
    String snapshot = Required.field("snapshot", call.body(DiskBody.Rollback.class).snapshot());
    return act(call, project -> () -> disks.rollback(project, call.variable("disk"), snapshot));
  }

  private Answer flatten(Call call) throws InterruptedException {
    return act(call, project -> () -> disks.flatten(project, call.variable("disk")));
  }

  private Answer undelete(Call call) {
    Optional<String> name =
        call.hasBody()
            ? Optional.ofNullable(call.body(DiskBody.Undelete.class).name())
            : Optional.empty();
    Disk disk = disks.undelete(context.project(call), call.variable("disk"), name);
    return answer(call, 200, disk);
  }

  private interface Action {
    Supplier<Operation> in(UUID project);
  }

  private Answer act(Call call, Action action) throws InterruptedException {
    UUID project = context.project(call);
    Operation started = context.start(call, project, action.in(project));
    // Cutting sessions takes a moment; most callers would only come back to ask.
    Operation operation =
        context.control().operations().awaitEnd(project, started.id().toString(), PATIENCE_MILLIS);
    return Context.outcome(
        operation,
        () ->
            answer(
                call,
                200,
                disks.get(project, operation.subject().id().toString()),
                operation.warning()));
  }

  private Answer.Whole answer(Call call, int status, Disk disk) {
    return answer(call, status, disk, Optional.empty());
  }

  private Answer.Whole answer(Call call, int status, Disk disk, Optional<String> warning) {
    Optional<DiskBody.Iscsi> iscsi =
        disk.use() instanceof Disk.Use.Exposed
            ? disks
                .exposure(disk.projectId(), disk.id().toString())
                .map(exposure -> DiskBody.Iscsi.of(exposure, portal.reachedFrom(call.localHost())))
            : Optional.empty();
    Optional<List<Ancestor>> lineage =
        Optional.of(context.control().lineage().of(disk, disk.projectId()));
    DiskBody.AtTarget target = new DiskBody.AtTarget(iscsi, disks.refusal(disk.id()));
    return Context.withRevision(
        Answer.json(status, DiskBody.of(disk, Optional.empty(), lineage, target, warning)),
        disk.revision());
  }
}
