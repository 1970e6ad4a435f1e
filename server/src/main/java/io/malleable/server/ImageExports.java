package io.malleable.server;

import java.io.IOException;
import java.nio.file.Path;
import java.util.UUID;

/** Writes images as files. */
@FunctionalInterface
public interface ImageExports {
  /**
   * Writes a new file.
   *
   * @param image its volume has the same id
   * @param format raw or qcow2
   */
  void write(UUID image, String format, Path file) throws IOException;
}
