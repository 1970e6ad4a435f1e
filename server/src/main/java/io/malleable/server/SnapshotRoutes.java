package io.malleable.server;

import io.malleable.control.Image;
import io.malleable.control.Operation;
import io.malleable.control.Page;
import io.malleable.control.Snapshot;
import io.malleable.control.Snapshots;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** {@code /v1/snapshots}. */
final class SnapshotRoutes {
  private final Context context;
  private final Snapshots snapshots;
  private final ImageRoutes images;

  SnapshotRoutes(Context context, ImageRoutes images) {
    this.context = context;
    this.images = images;
    this.snapshots = context.control().snapshots();
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", "/v1/snapshots", this::list, "limit", "cursor", "disk"),
        Route.of("POST", "/v1/snapshots", this::create),
        Route.of("GET", "/v1/snapshots/{snapshot}", this::get),
        Route.of("DELETE", "/v1/snapshots/{snapshot}", this::delete),
        Route.of("POST", "/v1/snapshots/{snapshot}/promote", this::promote));
  }

  private Answer list(Call call) {
    UUID project = context.project(call);
    Optional<String> disk = call.query("disk");
    Page<Snapshot> page =
        disk.isPresent()
            ? snapshots.listOfDisk(project, disk.get(), call.page())
            : snapshots.list(project, call.page());
    return Answer.json(
        200, PageBody.of(page, snapshot -> SnapshotBody.of(snapshot, Optional.empty())));
  }

  private Answer create(Call call) {
    SnapshotBody.Create wanted = call.body(SnapshotBody.Create.class);
    String name = Required.field("name", wanted.name());
    String disk = Required.field("disk", wanted.disk());
    UUID project = context.project(call);
    Operation operation = context.start(call, project, () -> snapshots.create(project, name, disk));
    return Context.outcome(
        operation,
        () -> {
          Snapshot snapshot = snapshots.get(project, operation.subject().id().toString());
          return answer(201, snapshot).with("Location", "/v1/snapshots/" + snapshot.id());
        });
  }

  private Answer get(Call call) {
    return answer(200, snapshots.get(context.project(call), call.variable("snapshot")));
  }

  private Answer delete(Call call) {
    UUID project = context.project(call);
    return Context.outcome(
        context.start(call, project, () -> snapshots.delete(project, call.variable("snapshot"))),
        Answer::none);
  }

  private Answer promote(Call call) {
    SnapshotBody.Promote wanted = call.body(SnapshotBody.Promote.class);
    String name = Required.field("name", wanted.name());
    Image.Visibility visibility =
        ImageRoutes.visibility(Optional.ofNullable(wanted.isPublic()).orElse(false));
    UUID project = context.project(call);
    Operation operation =
        context.start(
            call,
            project,
            () -> snapshots.promote(project, call.variable("snapshot"), name, visibility));
    return Context.outcome(
        operation,
        () -> {
          Image image =
              context.control().images().get(project, operation.subject().id().toString());
          return images.answer(201, image, project).with("Location", "/v1/images/" + image.id());
        });
  }

  private Answer.Whole answer(int status, Snapshot snapshot) {
    SnapshotBody body =
        SnapshotBody.of(
            snapshot, Optional.of(context.control().lineage().of(snapshot, snapshot.projectId())));
    // A snapshot never changes but for its state.
    return Answer.json(status, body).with("ETag", "\"" + snapshot.stateWord() + "\"");
  }
}
