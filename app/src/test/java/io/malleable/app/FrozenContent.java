package io.malleable.app;

import java.util.Optional;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * An image or a snapshot: what a disk held at one moment between two others, and the same whenever
 * it is read.
 */
final class FrozenContent {
  private final String disk;
  private final DiskModel origin;
  private final DiskModel.State before;
  private final DiskModel.State after;
  private @Nullable Long checksum;

  /**
   * A snapshot that was taken between two states of a disk.
   *
   * @param disk its name
   */
  FrozenContent(String disk, DiskModel origin, DiskModel.State before, DiskModel.State after) {
    this.disk = disk;
    this.origin = origin;
    this.before = before;
    this.after = after;
  }

  boolean isOf(String name) {
    return disk.equals(name);
  }

  /** Fails when that is not its content. */
  void check(byte[] content, String when) {
    CRC32C crc = new CRC32C();
    crc.update(content);
    Optional<String> fault = origin.fault(0, content, before, after);
    Long known = checksum;
    if (fault.isEmpty() && known != null && known != crc.getValue()) {
      fault = Optional.of("it is not what it was when it was read before");
    }
    if (fault.isPresent()) {
      throw new AssertionError(when + ": " + fault.get());
    }
    checksum = crc.getValue();
  }
}
