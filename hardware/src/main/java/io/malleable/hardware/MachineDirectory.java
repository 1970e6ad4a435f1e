package io.malleable.hardware;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.UUID;

/** Where the parts of one lab machine lie. */
final class MachineDirectory {
  /** {@code sun_path} of a UNIX socket holds 108 bytes with the final zero. */
  private static final int MAX_SOCKET_PATH_BYTES = 107;

  private static final Set<PosixFilePermission> OWNER_ONLY =
      PosixFilePermissions.fromString("rwx------");

  private final Path path;

  MachineDirectory(Path path) {
    this.path = path;
  }

  Path path() {
    return path;
  }

  String name() {
    return path.getFileName().toString();
  }

  /** QEMU writes its process number here and holds a lock on it as long as it lives. */
  Path pidFile() {
    return path.resolve("qemu.pid");
  }

  /** What QEMU itself has to say, above all why it did not start. */
  Path qemuLog() {
    return path.resolve("qemu.log");
  }

  /** What the machine writes to its serial port, since its last power-on. */
  Path consoleLog() {
    return path.resolve("console.log");
  }

  /** The same of the power-on before, or what was cut off a log that had become too long. */
  Path previousConsoleLog() {
    return path.resolve("console.previous.log");
  }

  Path monitorSocket() throws IOException {
    return socket("monitor");
  }

  Path serialSocket() throws IOException {
    return socket("serial");
  }

  /** The socket in the directory itself, or in a short private one when its path is too long. */
  private Path socket(String name) throws IOException {
    Path here = path.resolve(name + ".sock");
    if (here.toString().getBytes(StandardCharsets.UTF_8).length <= MAX_SOCKET_PATH_BYTES) {
      return here;
    }
    String key =
        UUID.nameUUIDFromBytes(path.toString().getBytes(StandardCharsets.UTF_8)).toString();
    Path base = Path.of("/tmp", "m2-lab-" + System.getProperty("user.name"));
    createPrivate(base);
    return base.resolve(key.substring(0, 18) + "." + name);
  }

  /** Somebody else could have made it first, to listen in: then it is not used. */
  private static void createPrivate(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
    }
    boolean mine =
        Files.isDirectory(directory, java.nio.file.LinkOption.NOFOLLOW_LINKS)
            && Files.getOwner(directory).getName().equals(System.getProperty("user.name"))
            && Files.getPosixFilePermissions(directory).equals(OWNER_ONLY);
    if (!mine) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          directory + " is not a private directory of " + System.getProperty("user.name"),
          "remove it, or use a lab directory with a shorter path");
    }
  }
}
