package io.malleable.volume.imagefile;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.imagefile.ImageException.Reason;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.UUID;

/**
 * A sealed volume as an image file that is made while it is sent: of known length, in one pass, and
 * without a copy of it on any file system in between. Keeps the volume open. Owned by one thread.
 */
public final class ExportedImage implements AutoCloseable {
  private static final int CHUNK_BYTES = 1 << 20;
  private static final byte[] NOUGHT = new byte[CHUNK_BYTES];

  private final Volume volume;
  private final ImageFormat format;
  private final Qcow2Layout layout;

  private ExportedImage(Volume volume, ImageFormat format, Qcow2Layout layout) {
    this.volume = volume;
    this.format = format;
    this.layout = layout;
  }

  /**
   * Opens the volume and finds out what of it there is to send.
   *
   * @param format raw or qcow2
   * @throws VolumeException as {@link VolumeStore#open}; {@code NOT_SEALED}
   */
  public static ExportedImage open(VolumeStore store, UUID id, ImageFormat format)
      throws IOException {
    if (format != ImageFormat.RAW && format != ImageFormat.QCOW2) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "cannot write format " + format.label(),
          "export as raw or qcow2");
    }
    Volume volume = store.open(id);
    boolean opened = false;
    try {
      if (!volume.sealed()) {
        throw new VolumeException(
            VolumeException.Reason.NOT_SEALED,
            "volume " + id + " can still be written; take a snapshot and export that");
      }
      ExportedImage image = new ExportedImage(volume, format, layout(volume));
      opened = true;
      return image;
    } finally {
      if (!opened) {
        volume.close();
      }
    }
  }

  private static Qcow2Layout layout(Volume volume) throws IOException {
    long sizeBytes = volume.sizeBytes();
    int clusterBits = Qcow2Layout.clusterBits(sizeBytes);
    BitSet data = new BitSet();
    long position = 0;
    while (position < sizeBytes) {
      Volume.Extent extent = volume.extentAt(position);
      long end = position + extent.lengthBytes();
      if (extent.origin() != Volume.Origin.ABSENT) {
        data.set((int) (position >>> clusterBits), (int) ((end - 1) >>> clusterBits) + 1);
      }
      position = end;
    }
    return new Qcow2Layout(sizeBytes, clusterBits, data);
  }

  /** Length of the file. */
  public long lengthBytes() {
    return format == ImageFormat.RAW ? volume.sizeBytes() : layout.fileBytes();
  }

  /** Writes the file; {@code out} throws to end it. */
  public void writeTo(OutputStream out) throws IOException {
    if (format == ImageFormat.QCOW2) {
      layout.writeTables(out);
    }
    byte[] chunk = new byte[CHUNK_BYTES];
    long sizeBytes = volume.sizeBytes();
    long position = 0;
    while (position < sizeBytes) {
      long from = layout.nextData(position);
      if (format == ImageFormat.RAW) {
        zeroes(out, Math.min(from, sizeBytes) - position);
      }
      position = from;
      long end = layout.nextHole(position);
      while (position < end) {
        int length = (int) Math.min(CHUNK_BYTES, end - position);
        int within = Math.clamp(sizeBytes - position, 0, length);
        read(position, ByteBuffer.wrap(chunk, 0, within));
        out.write(chunk, 0, within);
        if (format == ImageFormat.QCOW2) {
          // A cluster is whole even where the volume ends within it.
          out.write(NOUGHT, 0, length - within);
        }
        position += length;
      }
    }
  }

  private void read(long position, ByteBuffer chunk) throws IOException {
    if (chunk.hasRemaining()) {
      volume.read(position, chunk);
    }
  }

  private static void zeroes(OutputStream out, long lengthBytes) throws IOException {
    for (long left = lengthBytes; left > 0; left -= CHUNK_BYTES) {
      out.write(NOUGHT, 0, (int) Math.min(CHUNK_BYTES, left));
    }
  }

  @Override
  public void close() throws IOException {
    volume.close();
  }
}
