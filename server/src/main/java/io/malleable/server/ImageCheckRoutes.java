package io.malleable.server;

import io.malleable.control.ImageReading;
import io.malleable.image.BootFirmware;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;

/** {@code POST /v1/images/{image}/check}: what would stop an image from booting. */
final class ImageCheckRoutes {
  /** Each takes a processor for a second or two, which running machines must not miss. */
  private static final int MAX_AT_ONCE = 2;

  private final Context context;
  private final ImageChecks checks;
  private final Semaphore free = new Semaphore(MAX_AT_ONCE);

  ImageCheckRoutes(Context context, ImageChecks checks) {
    this.context = context;
    this.checks = checks;
  }

  List<Route> routes() {
    return List.of(Route.of("POST", "/v1/images/{image}/check", this::check, "firmware"));
  }

  private Answer check(Call call) throws IOException {
    Optional<BootFirmware> firmware = call.query("firmware").map(ImageCheckRoutes::firmware);
    if (!free.tryAcquire()) {
      throw ApiException.of(
          429,
          "CHECKS_BUSY",
          null,
          MAX_AT_ONCE + " images are being checked already.",
          "Try again in a few seconds.");
    }
    try (ImageReading reading =
        context.control().images().read(context.project(call), call.variable("image"))) {
      return Answer.json(200, BootReportBody.of(checks.check(reading.image().id(), firmware)));
    } finally {
      free.release();
    }
  }

  private static BootFirmware firmware(String text) {
    return switch (text) {
      case "bios" -> BootFirmware.BIOS;
      case "uefi" -> BootFirmware.UEFI;
      default ->
          throw ApiException.of(
              400,
              "PARAMETER_INVALID",
              "firmware",
              text,
              "The query parameter firmware is " + text + ".",
              "Use bios or uefi, or leave it out.");
    };
  }
}
