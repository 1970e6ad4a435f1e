package io.malleable.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the files of {@code --ssh-key}: public keys, one a line, as ssh-keygen writes them. */
final class PublicKeys {
  private static final long MAX_FILE_BYTES = 1 << 20;

  private PublicKeys() {}

  /** Adds {@code sshKeys} to a request, where files are given. */
  static void putInto(ObjectNode request, Argument files) {
    if (files.all().isEmpty()) {
      return;
    }
    ArrayNode keys = request.putArray("sshKeys");
    for (String name : files.all()) {
      lines(Path.of(name)).forEach(keys::add);
    }
  }

  private static List<String> lines(Path file) {
    try {
      if (Files.size(file) > MAX_FILE_BYTES) {
        throw wrong(file, "is larger than 1 MiB", null);
      }
      List<String> lines =
          Files.readAllLines(file).stream()
              .map(String::strip)
              .filter(line -> !line.isEmpty() && !line.startsWith("#"))
              .toList();
      // Before anything is sent: a private key must not leave this machine.
      if (lines.stream().anyMatch(line -> line.contains("PRIVATE KEY"))) {
        throw wrong(file, "holds a private key", null);
      }
      if (lines.isEmpty()) {
        throw wrong(file, "holds no key", null);
      }
      return lines;
    } catch (MalformedInputException e) {
      throw wrong(file, "is not a text file", e);
    } catch (IOException e) {
      throw wrong(file, "cannot be read", e);
    }
  }

  private static CommandFailure wrong(Path file, String why, @Nullable IOException cause) {
    return new CommandFailure(
        "--ssh-key: " + file + " " + why,
        "Give the file of a public key, such as ~/.ssh/id_ed25519.pub.",
        cause);
  }
}
