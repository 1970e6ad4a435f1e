package io.malleable.volume;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Copies what a disk in use inherits into its own layer. What its machine writes meanwhile, and
 * what was copied before, is not copied; so it can be ended and begun again at any point.
 */
final class Flattening {
  private static final int COPY_BYTES = 1 << 18;

  /** How often it is seen whether there is still enough space. */
  private static final long LOOK_BYTES = 16L << 20;

  private final ActiveVolume disk;
  private final SpaceGuard space;
  private final TransferProgress progress;
  private final String name;
  private long totalBytes = -1;
  private long doneBytes;

  Flattening(ActiveVolume disk, SpaceGuard space, TransferProgress progress) {
    this.disk = disk;
    this.space = space;
    this.progress = progress;
    this.name = "flattening disk " + disk.id();
  }

  /**
   * Copies; ends early, without an error, when a snapshot freezes the layer.
   *
   * @throws VolumeException {@code OUT_OF_SPACE} before the first byte if it will not fit, or later
   *     when others have taken what it needs
   * @throws ImageException {@code CANCELLED}
   */
  void copyUp() throws IOException {
    LayerWriter writer = disk.writer();
    long leftBytes = inheritedBytes();
    space.requireBeside(name, leftBytes);
    // A later attempt, after a snapshot, begins with nothing in the disk's own layer.
    totalBytes = Math.max(totalBytes, doneBytes + leftBytes);
    ByteBuffer buffer = ByteBuffer.allocateDirect(COPY_BYTES);
    long looked = doneBytes;
    long position = 0;
    while (position < disk.sizeBytes()) {
      Volume.Extent extent = disk.extentAt(position);
      long end = position + extent.lengthBytes();
      if (extent.origin() == Volume.Origin.INHERITED) {
        for (long at = position; at < end; at += COPY_BYTES) {
          reportOrEnd();
          if (doneBytes - looked >= LOOK_BYTES) {
            space.requireBeside(name, 0);
            looked = doneBytes;
          }
          if (!disk.copyUp(writer, at >>> BlockMap.BLOCK_SHIFT, buffer)) {
            return;
          }
          doneBytes += Math.min(COPY_BYTES, end - at);
        }
      }
      position = end;
    }
    reportOrEnd();
  }

  private long inheritedBytes() {
    long sum = 0;
    long position = 0;
    while (position < disk.sizeBytes()) {
      Volume.Extent extent = disk.extentAt(position);
      sum += extent.origin() == Volume.Origin.INHERITED ? extent.lengthBytes() : 0;
      position += extent.lengthBytes();
    }
    return sum;
  }

  private void reportOrEnd() throws ImageException {
    progress.onProgress(Math.min(doneBytes, totalBytes), totalBytes);
    if (progress.cancelled()) {
      throw new ImageException(
          ImageException.Reason.CANCELLED, "cancelled", "start it again when you like");
    }
  }
}
