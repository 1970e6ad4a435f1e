package io.malleable.volume.local;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Copies what a disk in use inherits into its own layer, and detaches it from those below. What its
 * machine writes meanwhile, and what was copied before, is not copied; so it can be ended and begun
 * again at any point.
 */
final class Flattening {
  private static final int ATTEMPTS = 4;
  private static final int COPY_BYTES = 1 << 18;

  /** How often it is seen whether there is still enough space. */
  private static final long LOOK_BYTES = 16L << 20;

  private final GuardedCatalogue guard;
  private final ActiveVolume disk;
  private final SpaceGuard space;
  private final Maintenance maintenance;
  private final TransferProgress progress;
  private final String name;
  private long totalBytes = -1;
  private long doneBytes;

  Flattening(
      GuardedCatalogue guard,
      ActiveVolume disk,
      SpaceGuard space,
      Maintenance maintenance,
      TransferProgress progress) {
    this.guard = guard;
    this.disk = disk;
    this.space = space;
    this.maintenance = maintenance;
    this.progress = progress;
    this.name = "flattening disk " + disk.id();
  }

  /**
   * Flattens. When it ends early the disk has its content and its parent as before.
   *
   * @throws VolumeException {@code OUT_OF_SPACE} before the first byte if it will not fit, or later
   *     when others have taken what it needs; {@code IN_USE} when snapshots come too fast, {@code
   *     UNAVAILABLE} when the store is closed
   */
  void run() throws IOException {
    try {
      for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        Layer top = disk.nearest();
        copyUp();
        disk.flush();
        if (detach(top)) {
          return;
        }
      }
      throw new VolumeException(
          Reason.IN_USE,
          "disk %s is snapshot faster than it can be flattened; try again".formatted(disk.id()));
    } catch (IOException e) {
      keepCopied(e);
      throw e;
    }
  }

  /** What was copied but is not in the map would have to be copied once more. */
  private void keepCopied(IOException cause) {
    try {
      disk.flush();
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /**
   * The disk's top layer has everything: it needs nothing below.
   *
   * @return false when a snapshot in between froze the layer that we copied to: once more, to its
   *     successor
   */
  private boolean detach(Layer top) throws IOException {
    disk.chainLock().lock();
    try {
      guard.refuseClosed();
      if (disk.nearest() != top) {
        return false;
      }
      disk.settle();
      // As long as the map: nobody else changes what the layer stands on meanwhile, and what it
      // says is the same whether or not others still take it to stand on something.
      disk.writer().rewriteMap(Optional.empty());
      guard.with(this::detachNow);
      return true;
    } finally {
      disk.chainLock().unlock();
    }
  }

  private @Nullable Void detachNow(Catalogue catalogue) throws IOException {
    Layer below = catalogue.layers().putOnGround(disk.nearest());
    disk.rebase();
    if (below != null) {
      catalogue.open().release(below);
    }
    maintenance.tryAgainSoon();
    VolumeRecord volume = catalogue.get(disk.id());
    catalogue.replace(volume.withParent(Optional.empty()));
    return null;
  }

  /** Ends early, without an error, when a snapshot freezes the layer. */
  private void copyUp() throws IOException {
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

  private void reportOrEnd() throws IOException {
    guard.refuseClosed();
    progress.onProgress(Math.min(doneBytes, totalBytes), totalBytes);
    if (progress.cancelled()) {
      throw new VolumeException(Reason.CANCELLED, name + " was cancelled; it can be begun again");
    }
  }
}
