package io.malleable.volume.imagefile;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.imagefile.ImageException.Reason;
import io.malleable.volume.posix.DiskSpace;
import io.malleable.volume.posix.Posix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Makes sealed volumes of image files. Raw files are copied, holes and zeroes left out; other
 * formats are converted by {@code qemu-img} into the staging directory first. Keeps no state; calls
 * may run at the same time.
 */
public final class ImageImporter {
  static final int CHUNK_BYTES = 1 << 20;
  private static final int BLOCK_BYTES = 4096;
  private static final ByteBuffer ZEROES = ByteBuffer.allocateDirect(1 << 16).asReadOnlyBuffer();
  private static final int SECTOR_BYTES = VolumeStore.SECTOR_BYTES;
  private static final String STAGED = ".staged";

  /**
   * Hashing holes takes a minute per 64 GiB; a longer file gets a checksum only if it is compared
   * with one.
   */
  static final long HASHED_UNASKED_BYTES = 64L << 30;

  /** Asking a store how full it is may mean to ask a cluster. */
  private static final long STORE_ASKED_NANOS = 1_000_000_000L;

  /** How the bar is divided, as fractions where each stage ends. */
  private static final double COMPARED = 0.2;

  private static final double CONVERTED = 0.5;
  private static final double COPIED = 0.85;

  private final VolumeStore store;
  private final Path staging;
  private final Room room;
  private final long hashedUnaskedBytes;
  private final QemuImg qemuImg = new QemuImg();

  /** What may still be written into the staging directory. */
  interface Room {
    /** Less than 0 when somebody else has taken more than there was. */
    long bytes() throws IOException;
  }

  /**
   * An importer into a store.
   *
   * @param staging a directory for this importer alone, with room for one converted image at a
   *     time; created when absent, leftovers in it are removed
   * @param reserveBytes what stays free on its file system, which others live on as well
   */
  public ImageImporter(VolumeStore store, Path staging, long reserveBytes) throws IOException {
    this(store, staging, () -> DiskSpace.usableBytes(staging) - reserveBytes, HASHED_UNASKED_BYTES);
  }

  ImageImporter(VolumeStore store, Path staging, Room room, long hashedUnaskedBytes)
      throws IOException {
    this.store = store;
    this.staging = staging;
    this.room = room;
    this.hashedUnaskedBytes = hashedUnaskedBytes;
    Files.createDirectories(staging);
    try (Stream<Path> files = Files.list(staging)) {
      for (Path leftover : files.filter(f -> f.toString().endsWith(STAGED)).toList()) {
        Files.delete(leftover);
      }
    }
  }

  /**
   * A finished import.
   *
   * @param sha256 of the file as it was given, in hexadecimal; absent for files beyond 64 GiB that
   *     came without one
   */
  public record Imported(VolumeInfo volume, ImageFormat format, Optional<String> sha256) {}

  /**
   * The format of an image file, after the checks that need no more than its first bytes.
   *
   * @throws ImageException when it cannot be imported
   */
  public ImageFormat inspect(Path file, Optional<ImageFormat> asked) throws IOException {
    return ImageInspector.inspect(file, asked);
  }

  /**
   * Imports a file as a sealed volume. Repeated after a crash, it starts over. When it throws, no
   * volume is left behind.
   *
   * @param id of the volume to be
   * @param asked the format that the user says it has
   * @param wanted the SHA-256 that the file must have, in lower-case hexadecimal
   */
  public Imported importFile(
      UUID id,
      Path file,
      Optional<ImageFormat> asked,
      Optional<String> wanted,
      TransferProgress progress)
      throws IOException {
    ImageFormat format = ImageInspector.inspect(file, asked);
    long fileBytes = Files.size(file);
    FileTime modified = Files.getLastModifiedTime(file);
    requireSpace(file, format);
    Stage work = new Stage(progress, fileBytes, 0, 1);
    if (format != ImageFormat.RAW && wanted.isPresent()) {
      // Before anything interprets it: a wrong file may be one that was made to do harm.
      requireSame(file, wanted, SparseDigest.sha256(file, work.part(0, COMPARED)::reach));
      work = work.part(COMPARED, 1);
    }
    fill(id, file, format, work.part(0, COPIED));
    try {
      // Of what was read a moment ago: the file may have been exchanged since it was looked at.
      boolean hashed = wanted.isPresent() || fileBytes <= hashedUnaskedBytes;
      Optional<String> sha256 =
          hashed
              ? Optional.of(SparseDigest.sha256(file, work.part(COPIED, 1)::reach))
              : Optional.empty();
      if (sha256.isPresent()) {
        requireSame(file, wanted, sha256.get());
      }
      if (Files.size(file) != fileBytes || !Files.getLastModifiedTime(file).equals(modified)) {
        throw new ImageException(
            Reason.CHANGED_MEANWHILE,
            "image file " + file + " changed while it was imported",
            "import it again when it is complete");
      }
      return new Imported(store.find(id).orElseThrow(), format, sha256);
    } catch (IOException e) {
      discardUnfinished(id, e);
      throw e;
    }
  }

  private void fill(UUID id, Path file, ImageFormat format, Stage stage) throws IOException {
    Optional<VolumeInfo> before = store.find(id);
    if (before.isPresent()) {
      if (before.get().sealed()) {
        return;
      }
      store.delete(id);
    }
    if (format == ImageFormat.RAW) {
      copyIn(id, file, stage);
    } else {
      convertIn(id, file, format, stage);
    }
  }

  private static void requireSame(Path file, Optional<String> wanted, String actual)
      throws ImageException {
    if (!actual.equals(wanted.orElse(actual))) {
      throw new ImageException(
          Reason.CHECKSUM_WRONG,
          "image file %s has the SHA-256 %s, not %s".formatted(file, actual, wanted.orElse("")),
          "get the file again, or correct the checksum");
    }
  }

  private void requireSpace(Path file, ImageFormat format) throws IOException {
    long content = Posix.allocatedBytes(file);
    // Twice when it is converted: in the embedded store both copies are on one file system.
    long needed = format == ImageFormat.RAW ? content : 2 * content;
    long available = store.availableBytes();
    if (needed > available) {
      throw tooLarge(file, "it needs %d bytes, %d are left".formatted(needed, available));
    }
    if (format != ImageFormat.RAW) {
      requireRoom(file, content);
    }
  }

  /** The database lives on the file system that an image is converted on. */
  private void requireRoom(Path file, long neededBytes) throws IOException {
    long left = Math.max(0, room.bytes());
    if (neededBytes > left) {
      throw new ImageException(
          Reason.TOO_LARGE,
          "image file %s cannot be converted in %s: it needs %d bytes more, %d are left beyond the reserve"
              .formatted(file, staging, neededBytes, left),
          "make room on the file system of the data directory, or import the image as raw");
    }
  }

  private static ImageException tooLarge(Path file, String why) {
    return new ImageException(
        Reason.TOO_LARGE,
        "image file %s does not fit into the store: %s".formatted(file, why),
        "delete images or disks, or add storage");
  }

  /** A part of the progress bar. */
  private record Stage(TransferProgress progress, long totalBytes, double from, double to) {
    /** Reports how much of the stage is done, and ends the work if that is wanted. */
    void reach(double fraction) throws ImageException {
      progress.onProgress((long) (totalBytes * (from + fraction * (to - from))), totalBytes);
      refuseIfCancelled(progress);
    }

    /** A part of the part. */
    Stage part(double begin, double end) {
      double whole = to - from;
      return new Stage(progress, totalBytes, from + begin * whole, from + end * whole);
    }
  }

  private void convertIn(UUID id, Path file, ImageFormat format, Stage stage) throws IOException {
    Path raw = staging.resolve(id + STAGED);
    Stage conversion = stage.part(0, CONVERTED);
    try {
      qemuImg.check(file, format, percent -> refuseIfCancelled(stage.progress()));
      StoreWatch watch = new StoreWatch(file, raw);
      qemuImg.convert(
          file,
          format,
          raw,
          ImageFormat.RAW,
          percent -> {
            conversion.reach(percent / 100);
            requireRoom(file, 1);
            watch.look();
          });
      requireRoom(file, 1); // the last of it came after the last look
      copyIn(id, raw, stage.part(CONVERTED, 1));
    } finally {
      Files.deleteIfExists(raw);
    }
  }

  /** Sees early that what a file unfolds to will not fit into the store. */
  private final class StoreWatch {
    private final Path file;
    private final Path raw;
    private long askedAtNanos = System.nanoTime() - STORE_ASKED_NANOS;

    StoreWatch(Path file, Path raw) {
      this.file = file;
      this.raw = raw;
    }

    void look() throws IOException {
      long now = System.nanoTime();
      if (now - askedAtNanos < STORE_ASKED_NANOS || !Files.exists(raw)) {
        return;
      }
      askedAtNanos = now;
      if (Posix.allocatedBytes(raw) > store.availableBytes()) {
        throw tooLarge(file, "its content is larger than the file");
      }
    }
  }

  private static void refuseIfCancelled(TransferProgress progress) throws ImageException {
    if (progress.cancelled()) {
      throw new ImageException(Reason.CANCELLED, "cancelled", "start it again when you like");
    }
  }

  /** Copies a raw file into a new volume and seals it. */
  private void copyIn(UUID id, Path raw, Stage stage) throws IOException {
    long fileBytes = Files.size(raw);
    long sizeBytes = (fileBytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    store.create(id, sizeBytes);
    try {
      try (Volume volume = store.open(id)) {
        copyData(raw, fileBytes, volume, stage);
      }
      store.seal(id);
    } catch (VolumeException e) {
      discardUnfinished(id, e);
      if (e.reason() == VolumeException.Reason.OUT_OF_SPACE) {
        throw tooLarge(raw, e.getMessage() == null ? "no space left" : e.getMessage());
      }
      throw e;
    } catch (IOException | RuntimeException e) {
      discardUnfinished(id, e);
      throw e;
    }
  }

  private void discardUnfinished(UUID id, Exception cause) {
    try {
      store.delete(id);
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  private static void copyData(Path raw, long fileBytes, Volume volume, Stage stage)
      throws IOException {
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK_BYTES);
    try (FileChannel channel = FileChannel.open(raw, StandardOpenOption.READ);
        Posix.Descriptor holes = Posix.Descriptor.forReading(raw)) {
      long position = holes.nextData(0);
      long dataEnd = -1;
      while (position >= 0 && position < fileBytes) {
        if (position >= dataEnd) {
          dataEnd = holes.nextHole(position);
        }
        int length = (int) Math.min(CHUNK_BYTES, Math.min(dataEnd, fileBytes) - position);
        fill(channel, position, chunk.clear().limit(length), raw);
        pad(chunk);
        writeNonZero(volume, position, chunk);
        position += length;
        if (position >= dataEnd) {
          position = holes.nextData(position);
        }
        stage.reach(position < 0 ? 1 : (double) position / fileBytes);
      }
    }
  }

  /** Reads up to the limit and flips. */
  static void fill(FileChannel channel, long position, ByteBuffer chunk, Path raw)
      throws IOException {
    while (chunk.hasRemaining()) {
      if (channel.read(chunk, position + chunk.position()) < 0) {
        throw new ImageException(
            Reason.CHANGED_MEANWHILE,
            "image file " + raw + " became shorter while it was read",
            "import it again when it is complete");
      }
    }
    chunk.flip();
  }

  /** Extends what was read with zeroes to a whole sector. */
  private static void pad(ByteBuffer chunk) {
    int end = chunk.limit();
    chunk.limit((end + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES).position(end);
    while (chunk.hasRemaining()) {
      chunk.put((byte) 0);
    }
    chunk.flip();
  }

  private static void writeNonZero(Volume volume, long position, ByteBuffer chunk)
      throws IOException {
    int end = chunk.limit();
    int start = 0;
    while (start < end) {
      int stop = start;
      while (stop < end && !zero(chunk, stop, Math.min(end, stop + BLOCK_BYTES))) {
        stop = Math.min(end, stop + BLOCK_BYTES);
      }
      if (stop > start) {
        volume.write(position + start, chunk.limit(stop).position(start));
        chunk.limit(end);
        start = stop;
      } else {
        start = Math.min(end, start + BLOCK_BYTES);
      }
    }
  }

  private static boolean zero(ByteBuffer chunk, int from, int to) {
    return chunk.slice(from, to - from).mismatch(ZEROES.slice(0, to - from)) < 0;
  }
}
