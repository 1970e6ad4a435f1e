package io.malleable.volume.imagefile;

import io.malleable.volume.TransferProgress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Makes image files of strangers readable as plain drives, with the same care as an import. */
public final class ImageConverter {
  private ImageConverter() {}

  /**
   * The format of an image file, after the checks that need no more than its first bytes.
   *
   * @param asked what the user says it is
   * @throws ImageException when it cannot be imported either
   */
  public static ImageFormat inspect(Path file, Optional<ImageFormat> asked) throws IOException {
    return ImageInspector.inspect(file, asked);
  }

  /**
   * Writes the content of an image file to a raw file, holes left out.
   *
   * @param format what {@link #inspect} found
   * @throws ImageException when it is damaged, or cannot be converted; {@code raw} is gone then
   */
  public static void toRaw(Path file, ImageFormat format, Path raw, TransferProgress progress)
      throws IOException {
    long sizeBytes = Files.size(file);
    QemuImg qemuImg = new QemuImg();
    try {
      qemuImg.check(file, format, percent -> {});
      qemuImg.convert(
          file,
          format,
          raw,
          ImageFormat.RAW,
          percent -> progress.onProgress((long) (sizeBytes * percent / 100), sizeBytes));
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(raw);
      throw e;
    }
  }
}
