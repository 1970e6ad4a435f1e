package io.malleable.volume;

import io.malleable.volume.ImageException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Makes sealed volumes of image files. Raw files are copied, holes and zeroes left out; other
 * formats are converted by {@code qemu-img} into the staging directory first. Keeps no state; calls
 * may run at the same time.
 */
public final class ImageImporter {
  private static final int CHUNK_BYTES = 1 << 20;
  private static final int BLOCK_BYTES = 4096;
  private static final int SECTOR_BYTES = LocalVolumeStore.SECTOR_BYTES;
  private static final String STAGED = ".staged";

  /** Hashing holes takes a minute per 64 GiB; a longer file is imported without a checksum. */
  private static final long MAX_HASHED_BYTES = 64L << 30;

  /** How the bar is divided, as fractions where each stage ends. */
  private static final double CONVERTED = 0.5;

  private static final double COPIED = 0.85;

  private final VolumeStore store;
  private final Path staging;
  private final QemuImg qemuImg = new QemuImg();

  /**
   * An importer into a store.
   *
   * @param staging a directory for this importer alone, with room for one converted image at a
   *     time; created when absent, leftovers in it are removed
   */
  public ImageImporter(VolumeStore store, Path staging) throws IOException {
    this.store = store;
    this.staging = staging;
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
   * @param sha256 of the file as it was given, in hexadecimal; absent for files beyond 64 GiB
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
   */
  public Imported importFile(
      UUID id, Path file, Optional<ImageFormat> asked, TransferProgress progress)
      throws IOException {
    ImageFormat format = ImageInspector.inspect(file, asked);
    long fileBytes = Files.size(file);
    FileTime modified = Files.getLastModifiedTime(file);
    requireSpace(file, format == ImageFormat.RAW ? 1 : 2);
    Optional<VolumeInfo> before = store.find(id);
    if (before.isPresent() && !before.get().sealed()) {
      store.delete(id);
    }
    if (before.isEmpty() || !before.get().sealed()) {
      if (format == ImageFormat.RAW) {
        copyIn(id, file, new Stage(progress, fileBytes, 0, COPIED));
      } else {
        convertIn(id, file, format, progress);
      }
    }
    Optional<String> sha256;
    try {
      sha256 = sha256(file, new Stage(progress, fileBytes, COPIED, 1));
    } catch (IOException e) {
      discardUnfinished(id, e);
      throw e;
    }
    if (Files.size(file) != fileBytes || !Files.getLastModifiedTime(file).equals(modified)) {
      store.delete(id);
      throw new ImageException(
          Reason.CHANGED_MEANWHILE,
          "image file " + file + " changed while it was imported",
          "import it again when it is complete");
    }
    VolumeInfo volume = store.find(id).orElseThrow();
    return new Imported(volume, format, sha256);
  }

  private void requireSpace(Path file, int copies) throws IOException {
    long needed = copies * Posix.allocatedBytes(file);
    long available = store.availableBytes();
    if (needed > available) {
      throw tooLarge(file, "it needs %d bytes, %d are left".formatted(needed, available));
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
  }

  private void convertIn(UUID id, Path file, ImageFormat format, TransferProgress progress)
      throws IOException {
    Path raw = staging.resolve(id + STAGED);
    Stage conversion = new Stage(progress, Files.size(file), 0, CONVERTED);
    try {
      qemuImg.check(file, format, percent -> refuseIfCancelled(progress));
      qemuImg.convert(
          file,
          format,
          raw,
          ImageFormat.RAW,
          percent -> {
            conversion.reach(percent / 100);
            if (store.availableBytes() == 0) {
              throw tooLarge(file, "its content is larger than the file");
            }
          });
      copyIn(id, raw, new Stage(progress, Files.size(file), CONVERTED, COPIED));
    } finally {
      Files.deleteIfExists(raw);
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
        writeNonZero(volume, position, chunk);
        position += length;
        if (position >= dataEnd) {
          position = holes.nextData(position);
        }
        stage.reach(position < 0 ? 1 : (double) position / fileBytes);
      }
    }
  }

  /** Reads up to the limit and pads to a whole sector with zeroes. */
  private static void fill(FileChannel channel, long position, ByteBuffer chunk, Path raw)
      throws IOException {
    while (chunk.hasRemaining()) {
      if (channel.read(chunk, position + chunk.position()) < 0) {
        throw new ImageException(
            Reason.CHANGED_MEANWHILE,
            "image file " + raw + " became shorter while it was read",
            "import it again when it is complete");
      }
    }
    int padded = (chunk.limit() + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    chunk.limit(padded);
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
    return chunk.slice(from, to - from).mismatch(Chain.ZEROES.slice(0, to - from)) < 0;
  }

  private static Optional<String> sha256(Path file, Stage stage) throws IOException {
    long size = Files.size(file);
    if (size > MAX_HASHED_BYTES) {
      return Optional.empty();
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BYTES);
      while (channel.read(chunk.clear()) >= 0) {
        digest.update(chunk.flip());
        stage.reach((double) channel.position() / size);
      }
      return Optional.of(HexFormat.of().formatHex(digest.digest()));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /**
   * Writes a volume to a new file.
   *
   * @param format raw or qcow2
   */
  public void exportFile(UUID id, Path file, ImageFormat format, TransferProgress progress)
      throws IOException {
    if (format != ImageFormat.RAW && format != ImageFormat.QCOW2) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "cannot write format " + format.label(),
          "export as raw or qcow2");
    }
    if (Files.exists(file)) {
      throw new ImageException(
          Reason.FILE_EXISTS, "file " + file + " exists already", "choose another name");
    }
    Path unfinished = file.resolveSibling(file.getFileName() + ".part");
    Path raw = format == ImageFormat.RAW ? unfinished : staging.resolve(id + ".export" + STAGED);
    try {
      long sizeBytes;
      try (Volume volume = store.open(id)) {
        sizeBytes = volume.sizeBytes();
        double end = format == ImageFormat.RAW ? 1 : CONVERTED;
        copyOut(volume, raw, new Stage(progress, sizeBytes, 0, end));
      }
      if (format != ImageFormat.RAW) {
        Stage conversion = new Stage(progress, sizeBytes, CONVERTED, 1);
        qemuImg.convert(
            raw, ImageFormat.RAW, unfinished, format, percent -> conversion.reach(percent / 100));
      }
      try (FileChannel written = FileChannel.open(unfinished, StandardOpenOption.WRITE)) {
        written.force(true);
      }
      Files.move(unfinished, file);
    } finally {
      Files.deleteIfExists(raw);
      Files.deleteIfExists(unfinished);
    }
  }

  private static void copyOut(Volume volume, Path raw, Stage stage) throws IOException {
    long sizeBytes = volume.sizeBytes();
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK_BYTES);
    try (FileChannel channel =
        FileChannel.open(
            raw,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      long position = 0;
      while (position < sizeBytes) {
        Volume.Extent extent = volume.extentAt(position);
        long end = position + extent.lengthBytes();
        if (extent.origin() == Volume.Origin.ABSENT) {
          position = end;
        } else {
          int length = (int) Math.min(CHUNK_BYTES, end - position);
          volume.read(position, chunk.clear().limit(length));
          chunk.flip();
          while (chunk.hasRemaining()) {
            channel.write(chunk, position + chunk.position());
          }
          position += length;
        }
        stage.reach((double) position / sizeBytes);
      }
      if (channel.size() < sizeBytes) {
        channel.write(ByteBuffer.allocate(1), sizeBytes - 1);
      }
    }
  }
}
