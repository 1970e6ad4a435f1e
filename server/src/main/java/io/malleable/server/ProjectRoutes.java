package io.malleable.server;

import io.malleable.control.Project;
import java.util.List;

/** {@code /v1/projects}. */
final class ProjectRoutes {
  private final Context context;

  ProjectRoutes(Context context) {
    this.context = context;
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", "/v1/projects", this::list, "limit", "cursor"),
        Route.of("POST", "/v1/projects", this::create),
        Route.of("GET", "/v1/projects/{project}", this::get),
        Route.of("DELETE", "/v1/projects/{project}", this::delete));
  }

  private Answer list(Call call) {
    return Answer.json(
        200, PageBody.of(context.control().projects().list(call.page()), ProjectBody::of));
  }

  private Answer create(Call call) {
    ProjectBody.Create wanted = call.body(ProjectBody.Create.class);
    Project project = context.control().projects().create(Required.field("name", wanted.name()));
    return Answer.json(201, ProjectBody.of(project))
        .with("Location", "/v1/projects/" + project.id());
  }

  private Answer get(Call call) {
    Project project = context.control().projects().get(call.variable("project"));
    return Context.withRevision(Answer.json(200, ProjectBody.of(project)), 1);
  }

  private Answer delete(Call call) {
    context.control().projects().delete(call.variable("project"));
    return Answer.none();
  }
}
