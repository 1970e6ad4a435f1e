package io.malleable.volume;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

/** A store's files on the local file system. */
final class LocalFiles implements StoreFiles {
  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

  private final Path root;

  LocalFiles(Path root) {
    this.root = root;
  }

  @Override
  public void createDirectory(String directory) throws IOException {
    Files.createDirectories(root.resolve(directory));
  }

  @Override
  public List<String> list(String directory) throws IOException {
    try (Stream<Path> entries = Files.list(root.resolve(directory))) {
      return entries.map(entry -> entry.getFileName().toString()).toList();
    }
  }

  @Override
  public boolean exists(String name) {
    return Files.exists(root.resolve(name));
  }

  @Override
  public StoreFile create(String name) throws IOException {
    return LocalFile.create(root.resolve(name));
  }

  @Override
  public StoreFile open(String name) {
    return new LocalFile(root.resolve(name));
  }

  @Override
  public void rename(String from, String to) throws IOException {
    Files.move(root.resolve(from), root.resolve(to), StandardCopyOption.ATOMIC_MOVE);
  }

  @Override
  public void delete(String name) throws IOException {
    Files.deleteIfExists(root.resolve(name));
  }

  @Override
  public void syncDirectory(String directory) throws IOException {
    boolean interrupted = Thread.interrupted();
    try (FileChannel channel = FileChannel.open(root.resolve(directory), StandardOpenOption.READ)) {
      channel.force(true);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public UUID bootId() throws IOException {
    String id = Files.readString(BOOT_ID).strip();
    try {
      return UUID.fromString(id);
    } catch (IllegalArgumentException e) {
      throw new IOException(BOOT_ID + " holds no id of this boot: " + id, e);
    }
  }

  @Override
  public long availableBytes() throws IOException {
    return Files.getFileStore(root).getUsableSpace();
  }

  @Override
  public long totalBytes() throws IOException {
    return Files.getFileStore(root).getTotalSpace();
  }
}
