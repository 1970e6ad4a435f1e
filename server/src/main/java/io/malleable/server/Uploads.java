package io.malleable.server;

import io.malleable.volume.posix.DiskSpace;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * Image files on their way in. A part that has arrived stays in the data directory, so that an
 * upload goes on after a broken connection or a restart; what nobody continues for a day is
 * dropped.
 */
final class Uploads {
  private static final Duration LIFETIME = Duration.ofDays(1);
  private static final int CHUNK_BYTES = 256 * 1024;
  private static final byte[] ZEROES = new byte[CHUNK_BYTES];

  /** How often an upload looks whether there is still space. */
  private static final long SPACE_CHECK_BYTES = 16L << 20;

  /** How often an upload is made durable, so that the answer to its last byte comes soon. */
  private static final long SYNC_BYTES = 256L << 20;

  private static final String PART = ".part";
  private static final String WHOLE = ".image";

  private final Path directory;
  private final long reserveBytes;
  private final InstantSource clock;
  private final Set<String> busy = ConcurrentHashMap.newKeySet();

  /**
   * Takes files into a directory.
   *
   * @param reserveBytes what stays free on its file system
   */
  Uploads(Path directory, long reserveBytes, InstantSource clock) {
    this.directory = directory;
    this.reserveBytes = reserveBytes;
    this.clock = clock;
  }

  /**
   * Names one upload.
   *
   * @param project name, already checked
   * @param image name, already checked
   */
  record Key(String project, String image) {
    private String fileName() {
      // Neither name can hold a '+'.
      return project + "+" + image + PART;
    }
  }

  /**
   * Removes whole files that no import goes on with: their server was killed between the last byte
   * and the operation, or after that had ended. Unfinished ones stay, to be continued.
   *
   * @param needed names of files
   */
  static void dropLeftovers(Path directory, Set<String> needed) throws IOException {
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        String name = String.valueOf(file.getFileName());
        if (name.endsWith(WHOLE) && !needed.contains(name)) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  /** How many bytes have arrived. */
  long offsetBytes(Key key) throws IOException {
    try {
      return Files.size(directory.resolve(key.fileName()));
    } catch (NoSuchFileException e) {
      return 0;
    }
  }

  /**
   * Takes a part.
   *
   * @param range absent for a body that is the whole file
   * @return the file once its last byte has arrived; whoever takes it removes it
   */
  Optional<Path> receive(Key key, Optional<ContentRange> range, InputStream body)
      throws IOException {
    if (!busy.add(key.fileName())) {
      throw ApiException.of(
          409,
          "UPLOAD_BUSY",
          null,
          "Another upload of the image " + key.image() + " is under way.",
          "Wait for its end, or choose another name.");
    }
    try {
      Files.createDirectories(directory);
      dropOld();
      return append(key, range, body);
    } finally {
      busy.remove(key.fileName());
    }
  }

  private Optional<Path> append(Key key, Optional<ContentRange> range, InputStream body)
      throws IOException {
    Path part = directory.resolve(key.fileName());
    long firstByte = range.map(ContentRange::first).orElse(0L);
    long present = offsetBytes(key);
    if (firstByte != 0 && firstByte != present) {
      throw ApiException.of(
              409,
              "UPLOAD_OFFSET",
              "Content-Range",
              Long.toString(firstByte),
              present + " bytes have arrived, the part begins at " + firstByte + ".",
              "Continue at " + present + ", or begin again at 0.")
          .withHeader("Upload-Offset", Long.toString(present));
    }
    long mostBytes = range.map(ContentRange::lengthBytes).orElse(Long.MAX_VALUE);
    long received = copy(body, part, firstByte, mostBytes);
    if (range.isPresent() && received != mostBytes) {
      throw ApiException.of(
              400,
              "UPLOAD_INCOMPLETE",
              "Content-Range",
              "The part should have " + mostBytes + " bytes and has " + received + ".",
              "Continue where Upload-Offset says.")
          .withHeader("Upload-Offset", Long.toString(firstByte + received));
    }
    if (range.isPresent() && firstByte + received < range.get().total()) {
      return Optional.empty();
    }
    if (firstByte + received == 0) {
      Files.deleteIfExists(part);
      throw ApiException.of(
          400, "IMAGE_INVALID", null, "The file is empty.", "Send the image as the body.");
    }
    Path whole = directory.resolve(UUID.randomUUID() + WHOLE);
    Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE);
    return Optional.of(whole);
  }

  private long copy(InputStream in, Path part, long firstByte, long mostBytes) throws IOException {
    byte[] chunk = new byte[CHUNK_BYTES];
    long received = 0;
    try (FileChannel out =
        FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      out.truncate(firstByte);
      for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
        if (received + n > mostBytes) {
          throw ApiException.of(
              400,
              "UPLOAD_TOO_LONG",
              "Content-Range",
              "The body is longer than its Content-Range says.",
              "Send " + mostBytes + " bytes.");
        }
        // Not for all that is announced: how much of it is holes shows only when it comes.
        if (received == 0 || crosses(SPACE_CHECK_BYTES, received, n)) {
          requireSpace(Math.min(SPACE_CHECK_BYTES, mostBytes - received));
        }
        if (crosses(SYNC_BYTES, received, n)) {
          out.force(false);
        }
        // A hole of the image stays one here. What breaks off within it is sent again.
        if (!Arrays.equals(chunk, 0, n, ZEROES, 0, n)) {
          put(out, ByteBuffer.wrap(chunk, 0, n), firstByte + received);
        }
        received += n;
      }
      if (out.size() < firstByte + received) {
        put(out, ByteBuffer.wrap(ZEROES, 0, 1), firstByte + received - 1);
      }
      out.force(false);
    }
    return received;
  }

  private static boolean crosses(long every, long before, int more) {
    return before / every != (before + more) / every;
  }

  private static void put(FileChannel out, ByteBuffer bytes, long at) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes, at + bytes.position());
    }
  }

  private void requireSpace(long neededBytes) throws IOException {
    long freeBytes = Math.max(0, DiskSpace.usableBytes(directory) - reserveBytes);
    if (neededBytes > freeBytes) {
      throw ApiException.of(
          507,
          "OUT_OF_SPACE",
          "Content-Range",
          "The upload needs "
              + neededBytes
              + " bytes more, there are "
              + freeBytes
              + " beyond the reserve of "
              + reserveBytes
              + ".",
          "Delete what is not needed, or enlarge the server's file system.");
    }
  }

  private void dropOld() throws IOException {
    Instant oldest = clock.instant().minus(LIFETIME);
    try (Stream<Path> files = Files.list(directory)) {
      files.filter(file -> file.toString().endsWith(PART)).forEach(file -> dropIfOld(file, oldest));
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private void dropIfOld(Path file, Instant oldest) {
    try {
      if (Files.getLastModifiedTime(file).toInstant().isBefore(oldest)
          && !busy.contains(String.valueOf(file.getFileName()))) {
        Files.deleteIfExists(file);
      }
    } catch (NoSuchFileException e) {
      // Another call dropped or finished it first.
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
