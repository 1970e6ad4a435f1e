package io.malleable.control;

import java.io.IOException;
import java.util.Optional;
import java.util.UUID;

/** Makes sealed volumes of image files. */
public interface ImageImports {
  /**
   * Looks at a source without reading all of it, so that what cannot work is refused at once.
   *
   * @param format what the caller says that it is; absent means find out
   * @throws ControlException IMAGE_SOURCE_MISSING, IMAGE_INVALID, IMAGE_SOURCE_UNSUPPORTED,
   *     OUT_OF_SPACE
   */
  void check(ImageSource source, Optional<String> format);

  /**
   * Fills and seals a new volume. When it throws, it leaves no volume behind if it can; the caller
   * deletes what may be left.
   *
   * @throws ControlException as {@link #check}; CHECKSUM_WRONG
   */
  ImageFacts importInto(
      UUID volume, ImageSource source, ImageExpectation expected, ImportProgress progress)
      throws IOException;

  /** Hears of the progress of an import. */
  interface ImportProgress {
    /** Part done, 0 to 1. */
    void onProgress(double done);

    /** Whether to give up; ask it at least once per second of work. */
    boolean isCancelled();
  }
}
