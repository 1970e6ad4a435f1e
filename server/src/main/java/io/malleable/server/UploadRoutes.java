package io.malleable.server;

import io.malleable.control.ImageExpectation;
import io.malleable.control.ImageSource;
import io.malleable.control.Operation;
import io.malleable.control.Project;
import io.malleable.control.ResourceName;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** {@code /v1/images/{image}/content}: image files on their way in. */
final class UploadRoutes {
  private static final String PATH = "/v1/images/{image}/content";
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

  private final Context context;
  private final Uploads uploads;

  UploadRoutes(Context context, Uploads uploads) {
    this.context = context;
    this.uploads = uploads;
  }

  List<Route> routes() {
    return List.of(
        Route.of("HEAD", PATH, this::offset),
        Route.of("PUT", PATH, this::upload, "format", "public", "sha256"));
  }

  private Answer offset(Call call) throws IOException {
    return partial(uploads.offsetBytes(key(call)));
  }

  private Answer upload(Call call) throws IOException {
    Project project = context.control().projects().get(call.project());
    Uploads.Key key = key(call);
    Optional<String> format = call.query("format");
    boolean isPublic = call.flag("public");
    Optional<String> sha256 = call.query("sha256");
    sha256.ifPresent(UploadRoutes::checkDigest);
    Optional<ContentRange> range = call.header("Content-Range").map(ContentRange::parse);
    // Who has sent for an hour should not learn only then that the name is taken.
    context.control().images().requireNameFree(project.id(), key.image());
    Optional<Path> whole;
    try (InputStream body = call.content()) {
      whole = uploads.receive(key, range, body);
    }
    if (whole.isEmpty()) {
      return partial(uploads.offsetBytes(key));
    }
    Path file = whole.get();
    try {
      Operation operation =
          context
              .control()
              .images()
              .importImage(
                  project.id(),
                  key.image(),
                  new ImageSource.Upload(file),
                  new ImageExpectation(format, sha256),
                  ImageRoutes.visibility(isPublic));
      return Context.longWork(operation);
    } catch (RuntimeException e) {
      // Refused before an operation owned the file.
      Files.deleteIfExists(file);
      throw e;
    }
  }

  private Uploads.Key key(Call call) {
    // Both become part of a file name, so both must keep the rule for names.
    String project = context.control().projects().get(call.project()).name();
    return new Uploads.Key(project, ResourceName.check("image", call.variable("image")));
  }

  private static Answer partial(long offsetBytes) {
    return Answer.none().with("Upload-Offset", Long.toString(offsetBytes));
  }

  private static void checkDigest(String text) {
    if (!SHA256.matcher(text).matches()) {
      throw ApiException.of(
          400,
          "PARAMETER_INVALID",
          "sha256",
          text,
          "The query parameter sha256 is not a SHA-256.",
          "Give 64 lower-case hexadecimal digits, as sha256sum prints them.");
    }
  }
}
