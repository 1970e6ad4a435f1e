package io.malleable.server;

import io.malleable.control.Image;
import io.malleable.control.Images;
import io.malleable.control.Operation;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/** Calls on {@code /v1/images/{image}} that concern other projects. */
final class ImageSharingRoutes {
  private final Context context;
  private final Images images;
  private final ImageRoutes answers;

  ImageSharingRoutes(Context context, ImageRoutes answers) {
    this.context = context;
    this.images = context.control().images();
    this.answers = answers;
  }

  List<Route> routes() {
    return List.of(
        Route.of("PUT", "/v1/images/{image}/shares/{project}", this::share),
        Route.of("DELETE", "/v1/images/{image}/shares/{project}", this::unshare),
        Route.of("POST", "/v1/images/{image}/copy", this::copy),
        Route.of("POST", "/v1/images/{image}/move", this::move));
  }

  private Answer share(Call call) {
    UUID project = context.project(call);
    return answers.answer(
        200, images.share(project, call.variable("image"), call.variable("project")), project);
  }

  private Answer unshare(Call call) {
    UUID project = context.project(call);
    return answers.answer(
        200, images.unshare(project, call.variable("image"), call.variable("project")), project);
  }

  private Answer copy(Call call) {
    ImageBody.Copy wanted = call.body(ImageBody.Copy.class);
    Images.CopyMode mode = mode(Optional.ofNullable(wanted.mode()).orElse("linked"));
    Optional<String> to = Optional.ofNullable(wanted.project());
    UUID project = context.project(call);
    Operation operation =
        context.start(
            call,
            project,
            () ->
                images.copy(
                    project, call.variable("image"), to, Optional.ofNullable(wanted.name()), mode));
    return Context.outcome(
        operation,
        () -> {
          UUID owner = to.map(name -> context.control().projects().get(name).id()).orElse(project);
          Image copy = images.get(owner, operation.subject().id().toString());
          return answers.answer(201, copy, owner).with("Location", "/v1/images/" + copy.id());
        });
  }

  private static Images.CopyMode mode(String word) {
    for (Images.CopyMode mode : Images.CopyMode.values()) {
      if (mode.name().toLowerCase(Locale.ROOT).equals(word)) {
        return mode;
      }
    }
    throw ApiException.of(
        400,
        "FIELD_INVALID",
        "mode",
        word,
        "An image cannot be copied in the mode " + word + ".",
        "Use linked (constant time, depends on the original) or full (depends on nothing).");
  }

  private Answer move(Call call) {
    ImageBody.Move wanted = call.body(ImageBody.Move.class);
    Image moved =
        images.move(
            context.project(call),
            call.variable("image"),
            Required.field("project", wanted.project()),
            Optional.ofNullable(wanted.name()),
            Context.expectedRevision(call));
    return answers.answer(200, moved, moved.projectId());
  }
}
