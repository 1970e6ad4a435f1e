package io.malleable.server;

import io.malleable.control.Image;
import io.malleable.control.Image.Visibility;
import io.malleable.control.ImageExpectation;
import io.malleable.control.ImageSource;
import io.malleable.control.Images;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** {@code /v1/images} without their content. */
final class ImageRoutes {
  private final Context context;
  private final Images images;

  ImageRoutes(Context context) {
    this.context = context;
    this.images = context.control().images();
  }

  List<Route> routes() {
    return List.of(
        Route.of("GET", "/v1/images", this::list, "limit", "cursor"),
        Route.of("POST", "/v1/images", this::importImage),
        Route.of("GET", "/v1/images/{image}", this::get),
        Route.of("PATCH", "/v1/images/{image}", this::change),
        Route.of("DELETE", "/v1/images/{image}", this::delete, "cascade"));
  }

  private Answer list(Call call) {
    UUID project = context.project(call);
    return Answer.json(
        200,
        PageBody.of(
            images.list(project, call.page()),
            image -> ImageBody.of(image, project, Optional.empty())));
  }

  private Answer importImage(Call call) {
    ImageBody.Import wanted = call.body(ImageBody.Import.class);
    String name = Required.field("name", wanted.name());
    ImageSource source = source(Required.field("source", wanted.source()));
    ImageExpectation expected =
        new ImageExpectation(
            Optional.ofNullable(wanted.format()), Optional.ofNullable(wanted.sha256()));
    Visibility visibility = visibility(Optional.ofNullable(wanted.isPublic()).orElse(false));
    UUID project = context.project(call);
    return Context.longWork(
        context.start(
            call, project, () -> images.importImage(project, name, source, expected, visibility)));
  }

  private static ImageSource source(ImageBody.Source source) {
    String path = source.path();
    String url = source.url();
    Required.oneOf(List.of("source.path", "source.url"), path, url);
    return path != null ? file(path) : download(Required.field("source.url", url));
  }

  private static ImageSource file(String text) {
    try {
      Path path = Path.of(text);
      if (path.isAbsolute()) {
        return new ImageSource.LocalFile(path.normalize());
      }
    } catch (InvalidPathException e) {
      // Answered below.
    }
    throw ApiException.of(
        400,
        "FIELD_INVALID",
        "source.path",
        text,
        "The path of the image file is not absolute.",
        "Give the whole path on the server, or upload the file.");
  }

  private static ImageSource download(String text) {
    try {
      URI url = new URI(text);
      String scheme = String.valueOf(url.getScheme()).toLowerCase(Locale.ROOT);
      if (Set.of("http", "https").contains(scheme)
          && url.getHost() != null
          && url.getUserInfo() == null) {
        return new ImageSource.Download(url);
      }
    } catch (URISyntaxException e) {
      // Answered below.
    }
    throw ApiException.of(
        400,
        "FIELD_INVALID",
        "source.url",
        "The URL of the image cannot be used.",
        "Give an http or https URL without a user or password in it.");
  }

  static Visibility visibility(boolean isPublic) {
    return isPublic ? Visibility.PUBLIC : Visibility.PRIVATE;
  }

  private Answer get(Call call) {
    UUID project = context.project(call);
    return answer(200, images.get(project, call.variable("image")), project);
  }

  private Answer change(Call call) {
    ImageBody.Change wanted = call.body(ImageBody.Change.class);
    UUID project = context.project(call);
    return answer(
        200,
        images.change(
            project,
            call.variable("image"),
            Optional.ofNullable(wanted.name()),
            Optional.ofNullable(wanted.isPublic()).map(ImageRoutes::visibility),
            Context.expectedRevision(call)),
        project);
  }

  private Answer delete(Call call) {
    UUID project = context.project(call);
    return Context.outcome(
        context.start(
            call,
            project,
            () ->
                call.flag("cascade")
                    ? images.deleteWithDependants(project, call.variable("image"))
                    : images.delete(project, call.variable("image"))),
        Answer::none);
  }

  /** The image as that project sees it. */
  Answer.Whole answer(int status, Image image, UUID project) {
    ImageBody body =
        ImageBody.of(image, project, Optional.of(context.control().lineage().of(image, project)));
    return Context.withRevision(Answer.json(status, body), image.revision());
  }
}
