package io.malleable.server;

import io.malleable.image.BootFirmware;
import io.malleable.image.BootReport;
import java.io.IOException;
import java.util.Optional;
import java.util.UUID;

/** Looks inside images. */
@FunctionalInterface
public interface ImageChecks {
  /**
   * Says what would stop an image from booting.
   *
   * @param image its volume has the same id
   * @param firmware that it must boot with; absent when either will do
   */
  BootReport check(UUID image, Optional<BootFirmware> firmware) throws IOException;
}
