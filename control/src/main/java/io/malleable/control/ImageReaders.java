package io.malleable.control;

import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Which images are being exported or checked. Kept in memory: no reader outlives the server. Both
 * calls belong into a writing transaction, so that one of reader and deletion comes first.
 */
final class ImageReaders {
  private final Map<UUID, Integer> readers = new ConcurrentHashMap<>();

  /** The image is ready. */
  ImageReading begin(Image image) {
    readers.merge(image.id(), 1, Integer::sum);
    return new ImageReading(
        image,
        () -> readers.computeIfPresent(image.id(), (_, count) -> count == 1 ? null : count - 1));
  }

  /**
   * Checks that nobody reads the image.
   *
   * @throws ControlException IMAGE_BUSY
   */
  void requireNone(Ref image) {
    if (readers.containsKey(image.id())) {
      throw ControlException.of(
          ErrorCode.IMAGE_BUSY,
          "The " + image + " is being exported or checked. Nothing was deleted.",
          "Repeat when that has ended.");
    }
  }
}
