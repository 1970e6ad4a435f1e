package io.malleable.iscsi;

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

/** Keeps reservations in a directory, one file for each unit, replaced as a whole. */
public final class DirectoryReservationStore implements ReservationStore {
  private final Path directory;

  /** The directory is made when it is not there. */
  public DirectoryReservationStore(Path directory) throws IOException {
    this.directory = Files.createDirectories(directory);
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
    Path fresh = directory.resolve(logicalUnit + ".new");
    if (content.length == 0) {
      // A crash may have left half of one as well.
      boolean half = Files.deleteIfExists(fresh);
      if (!Files.deleteIfExists(file(logicalUnit)) && !half) {
        return;
      }
    } else {
      try (FileChannel channel =
          FileChannel.open(
              fresh,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING)) {
        ByteBuffer bytes = ByteBuffer.wrap(content);
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
        channel.force(true);
      }
      Files.move(
          fresh,
          file(logicalUnit),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    }
    // The name, or its absence, must survive too.
    try (FileChannel names = FileChannel.open(directory, StandardOpenOption.READ)) {
      names.force(true);
    }
  }

  private Path file(UUID logicalUnit) {
    return directory.resolve(logicalUnit + ".reservations");
  }
}
