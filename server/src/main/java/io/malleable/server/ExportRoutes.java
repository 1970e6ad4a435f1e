package io.malleable.server;

import io.malleable.control.Image;
import io.malleable.control.ImageReading;
import io.malleable.volume.imagefile.ExportedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Semaphore;

/** {@code GET /v1/images/{image}/content}: an image as a file, made while it is sent. */
final class ExportRoutes {
  private static final System.Logger LOG = System.getLogger(ExportRoutes.class.getName());
  private static final Set<String> FORMATS = Set.of("raw", "qcow2");

  /** Each reads as fast as its client takes; more of them only slow the machines down. */
  private static final int MAX_EXPORTS = 16;

  private static final Duration PATIENCE = Duration.ofMinutes(2);

  private final Context context;
  private final ImageExports exports;
  private final Semaphore free = new Semaphore(MAX_EXPORTS);

  ExportRoutes(Context context, ImageExports exports) {
    this.context = context;
    this.exports = exports;
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
    if (!free.tryAcquire()) {
      throw ApiException.of(
          409,
          "EXPORT_BUSY",
          null,
          MAX_EXPORTS + " images are being exported.",
          "Wait for the end of one of these exports.");
    }
    Export begun = null;
    try {
      begun = begin(call, format);
      Export export = begun;
      return new Answer.Stream(
          "application/octet-stream", export.file().lengthBytes(), export::send);
    } finally {
      if (begun == null) {
        free.release();
      }
    }
  }

  private Export begin(Call call, String format) throws IOException {
    ImageReading reading =
        context.control().images().read(context.project(call), call.variable("image"));
    ExportedImage file = null;
    try {
      file = exports.open(reading.image().id(), format);
      return new Export(reading, file);
    } finally {
      if (file == null) {
        reading.close();
      }
    }
  }

  /** One export from its first byte to its last; the image stays until then. */
  private final class Export {
    private final ImageReading reading;
    private final ExportedImage file;

    Export(ImageReading reading, ExportedImage file) {
      this.reading = reading;
      this.file = file;
    }

    ExportedImage file() {
      return file;
    }

    void send(OutputStream out) throws IOException {
      Image image = reading.image();
      try (reading;
          file;
          StallGuard guarded = new StallGuard(out, PATIENCE).started()) {
        file.writeTo(guarded);
      } catch (IOException e) {
        // Which of both it was, an unreadable image or a client that went, only the text says.
        LOG.log(System.Logger.Level.WARNING, "the export of image " + image.id() + " broke off", e);
        throw e;
      } finally {
        free.release();
      }
    }
  }
}
