package io.malleable.app;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The directory of everything a server keeps, held by one process at a time.
 *
 * <p>The lock file names the process that holds it. The kernel drops the lock when that process
 * ends, however it ends.
 */
final class DataDirectory implements AutoCloseable {
  private static final Set<PosixFilePermission> OWNER_ONLY =
      PosixFilePermissions.fromString("rw-------");
  private static final int TOKEN_BYTES = 32;

  private final Path root;
  private final FileChannel lockFile;

  private DataDirectory(Path root, FileChannel lockFile) {
    this.root = root;
    this.lockFile = lockFile;
  }

  static DataDirectory open(Path root) throws StartException, IOException {
    try {
      if (!Files.isDirectory(root)) {
        Files.createDirectories(root);
        Files.setPosixFilePermissions(root, PosixFilePermissions.fromString("rwx------"));
      }
    } catch (FileSystemException e) {
      throw new StartException(
          "cannot make the data directory " + root + ": " + reason(e),
          "name a directory that this user may write: --data DIR",
          e);
    }
    FileChannel channel;
    try {
      channel =
          FileChannel.open(
              root.resolve("lock"),
              Set.of(StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE),
              PosixFilePermissions.asFileAttribute(OWNER_ONLY));
    } catch (FileSystemException e) {
      throw new StartException(
          "cannot use the data directory " + root + ": " + reason(e),
          "make it belong to the user that runs the server",
          e);
    }
    if (!lock(channel)) {
      String holder = read(channel);
      channel.close();
      throw new StartException(
          "the data directory " + root + " is in use by process " + holder,
          "stop that server first, or name another directory with --data",
          null);
    }
    channel.truncate(0);
    channel.write(
        ByteBuffer.wrap(
            Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII)),
        0);
    return new DataDirectory(root, channel);
  }

  Path resolve(String name) {
    return root.resolve(name);
  }

  Path tokenFile() {
    return root.resolve("admin-token");
  }

  /** The administrator's token; made on the first start. */
  String adminToken() throws IOException, StartException {
    Path file = tokenFile();
    if (!Files.exists(file)) {
      byte[] random = new byte[TOKEN_BYTES];
      new SecureRandom().nextBytes(random);
      writePrivately(file, Base64.getUrlEncoder().withoutPadding().encodeToString(random) + "\n");
    }
    String token = Files.readString(file).strip();
    if (token.length() < 16) {
      throw new StartException(
          file + " holds no token",
          "remove the file and start again: the server makes a new token",
          null);
    }
    return token;
  }

  /** Replaces a file as a whole; only its owner may read it. */
  void writePrivately(Path file, String content) throws IOException {
    Path fresh = root.resolve(file.getFileName() + ".new");
    Files.deleteIfExists(fresh);
    Files.createFile(fresh, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
    try (FileChannel out = FileChannel.open(fresh, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(content.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
      out.force(true);
    }
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  @Override
  public void close() throws IOException {
    lockFile.close();
  }

  private static boolean lock(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  private static String read(FileChannel channel) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(32);
    channel.read(bytes, 0);
    String pid = new String(bytes.array(), 0, bytes.position(), StandardCharsets.US_ASCII).strip();
    return pid.isEmpty() ? "(unknown)" : pid;
  }

  private static String reason(FileSystemException e) {
    String reason = e.getReason();
    return reason != null ? reason : describe(e.getClass().getSimpleName());
  }

  private static String describe(@Nullable String exception) {
    return exception == null ? "unknown" : exception.replace("Exception", "");
  }
}
