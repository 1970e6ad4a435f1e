package io.malleable.volume.local;

import io.malleable.volume.posix.DiskSpace;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A store's files on the local file system. */
final class LocalFiles implements StoreFiles {
  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

  private final Path root;

  /** The same as long as the process lives. */
  private volatile @Nullable UUID bootId;

  private final DescriptorPool pool;

  LocalFiles(Path root) {
    this(root, DescriptorPool.ofProcess());
  }

  LocalFiles(Path root, DescriptorPool pool) {
    this.root = root;
    this.pool = pool;
  }

  @Override
  public void createDirectory(String directory) throws IOException {
    Files.createDirectories(root.resolve(directory));
  }

  @Override
  public List<String> list(String directory) throws IOException {
    return pool.withDescriptor(() -> {
      try (Stream<Path> entries = Files.list(root.resolve(directory))) {
        return entries.map(entry -> entry.getFileName().toString()).toList();
      }
    });
  }

  @Override
  public boolean exists(String name) {
    return Files.exists(root.resolve(name));
  }

  @Override
  public StoreFile create(String name) throws IOException {
    return LocalFile.create(root.resolve(name), pool);
  }

  @Override
  public StoreFile open(String name) {
    return new LocalFile(root.resolve(name), pool);
  }

  @Override
  public void rename(String from, String to) throws IOException {
    Path source = root.resolve(from);
    Path target = root.resolve(to);
    pool.keep(source);
    pool.keep(target);
    Files.move(source, target, StandardCopyOption.ATOMIC_MOVE);
  }

  @Override
  public void delete(String name) throws IOException {
    Path file = root.resolve(name);
    pool.keep(file);
    Files.deleteIfExists(file);
  }

  @Override
  public void syncDirectory(String directory) throws IOException {
    boolean interrupted = Thread.interrupted();
    Path path = root.resolve(directory);
    try (FileChannel channel =
        pool.withDescriptor(() -> FileChannel.open(path, StandardOpenOption.READ))) {
      channel.force(true);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public UUID bootId() throws IOException {
    UUID known = bootId;
    if (known == null) {
      String id = pool.withDescriptor(() -> Files.readString(BOOT_ID)).strip();
      try {
        known = UUID.fromString(id);
      } catch (IllegalArgumentException e) {
        throw new IOException(BOOT_ID + " holds no id of this boot: " + id, e);
      }
      bootId = known;
    }
    return known;
  }

  @Override
  public long availableBytes() throws IOException {
    return DiskSpace.usableBytes(root);
  }

  @Override
  public long totalBytes() throws IOException {
    return DiskSpace.totalBytes(root);
  }
}
