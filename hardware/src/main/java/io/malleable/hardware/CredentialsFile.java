package io.malleable.hardware;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;

/**
 * BMC passwords in a file: one {@code USER@HOST PASSWORD} per line, {@code #} starts a comment
 * line. {@code HOST} may be {@code *}, for racks whose BMCs share an account; an exact host wins.
 * The file is read at every look-up, so that an edit counts at once, and refused when anybody but
 * its owner can read it.
 */
public final class CredentialsFile implements Credentials {
  /** A rack of 10,000 servers with long names fits; anything larger is not a credentials file. */
  private static final long MAX_BYTES = 4L << 20;

  private static final Set<PosixFilePermission> OTHERS =
      EnumSet.of(
          PosixFilePermission.GROUP_READ,
          PosixFilePermission.GROUP_WRITE,
          PosixFilePermission.OTHERS_READ,
          PosixFilePermission.OTHERS_WRITE);

  private final Path file;

  public CredentialsFile(Path file) {
    this.file = file;
  }

  @Override
  public Optional<Secret> password(String user, String host) throws IOException {
    try {
      requirePrivate();
      Optional<Secret> shared = Optional.empty();
      int lineNumber = 0;
      for (String line : Files.readAllLines(file)) {
        lineNumber++;
        if (line.isBlank() || line.startsWith("#")) {
          continue;
        }
        int space = line.indexOf(' ');
        if (space <= 0 || space == line.length() - 1) {
          throw new PowerException(
              PowerException.Kind.CONFIGURATION,
              file + " line " + lineNumber + " is not \"USER@HOST PASSWORD\"",
              "write one account per line, a space before the password");
        }
        String account = line.substring(0, space);
        if (account.equals(user + "@" + host)) {
          return Optional.of(new Secret(line.substring(space + 1)));
        }
        if (account.equals(user + "@*")) {
          shared = Optional.of(new Secret(line.substring(space + 1)));
        }
      }
      return shared;
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  private void requirePrivate() throws IOException {
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
    if (permissions.stream().anyMatch(OTHERS::contains)) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "the BMC passwords in " + file + " can be read by other users",
          "run: chmod 600 " + file);
    }
    if (Files.size(file) > MAX_BYTES) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          file + " is larger than " + MAX_BYTES + " bytes",
          "keep only lines \"USER@HOST PASSWORD\" in it");
    }
  }
}
