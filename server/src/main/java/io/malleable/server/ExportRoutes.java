package io.malleable.server;

import io.malleable.control.Image;
import io.malleable.control.ImageReading;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/** {@code GET /v1/images/{image}/content}: an image as a file. */
final class ExportRoutes {
  private static final Set<String> FORMATS = Set.of("raw", "qcow2");

  private final Context context;
  private final ImageExports exports;
  private final Path directory;

  /** Each takes the room of the image, so that nobody gets to fill the disk by asking often. */
  private final Set<UUID> busy = ConcurrentHashMap.newKeySet();

  ExportRoutes(Context context, ImageExports exports, Path directory) {
    this.context = context;
    this.exports = exports;
    this.directory = directory;
  }

  List<Route> routes() {
    return List.of(Route.of("GET", "/v1/images/{image}/content", this::export, "format"));
  }

  private Answer export(Call call) throws IOException {
    String format = call.query("format").orElse("qcow2");
    if (!FORMATS.contains(format)) {
      throw ApiException.of(
          400,
          "PARAMETER_INVALID",
          "format",
          format,
          "Images cannot be written as " + format + ".",
          "Use raw or qcow2.");
    }
    try (ImageReading reading =
        context.control().images().read(context.project(call), call.variable("image"))) {
      return write(reading.image(), format);
    }
  }

  private Answer write(Image image, String format) throws IOException {
    if (!busy.add(image.id())) {
      throw ApiException.of(
          409,
          "EXPORT_BUSY",
          null,
          "The image '" + image.name() + "' is being exported.",
          "Wait for the end of that export.");
    }
    Path file = directory.resolve(image.id() + ".export");
    try {
      Files.createDirectories(directory);
      Files.deleteIfExists(file);
      exports.write(image.id(), format, file);
      return new Answer.Stream(
          "application/octet-stream", Files.size(file), out -> send(image.id(), file, out));
    } catch (IOException | RuntimeException e) {
      forget(image.id(), file);
      throw e;
    }
  }

  private void send(UUID image, Path file, OutputStream out) throws IOException {
    try {
      Files.copy(file, out);
    } finally {
      forget(image, file);
    }
  }

  private void forget(UUID image, Path file) throws IOException {
    try {
      Files.deleteIfExists(file);
    } finally {
      busy.remove(image);
    }
  }
}
