package io.malleable.server;

import io.malleable.volume.imagefile.ExportedImage;
import java.io.IOException;
import java.util.UUID;

/** Makes files of images. */
@FunctionalInterface
public interface ImageExports {
  /**
   * Opens an image as a file; whoever takes it closes it.
   *
   * @param image its volume has the same id
   * @param format raw or qcow2
   */
  ExportedImage open(UUID image, String format) throws IOException;
}
