package io.malleable.app;

import io.malleable.iscsi.ReservationStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.UUID;

/** Persistent reservations, one small file for each unit that has some. */
final class ReservationFiles implements ReservationStore {
  private final Path directory;

  private ReservationFiles(Path directory) {
    this.directory = directory;
  }

  static ReservationFiles open(Path directory) throws IOException {
    Files.createDirectories(directory);
    return new ReservationFiles(directory);
  }

  @Override
  public Optional<byte[]> load(UUID logicalUnit) throws IOException {
    try {
      return Optional.of(Files.readAllBytes(file(logicalUnit)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public void save(UUID logicalUnit, byte[] content) throws IOException {
    Path file = file(logicalUnit);
    if (content.length == 0) {
      Files.deleteIfExists(file);
    } else {
      Path fresh = directory.resolve(logicalUnit + ".new");
      try (FileChannel out =
          FileChannel.open(
              fresh,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        ByteBuffer bytes = ByteBuffer.wrap(content);
        while (bytes.hasRemaining()) {
          out.write(bytes);
        }
        out.force(true);
      }
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
    // The name is durable only with its directory.
    try (FileChannel names = FileChannel.open(directory, StandardOpenOption.READ)) {
      names.force(true);
    }
  }

  private Path file(UUID logicalUnit) {
    return directory.resolve(logicalUnit + ".reservations");
  }
}
