package io.malleable.app;

import io.malleable.control.SshKeys;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The file of the public keys that are let in to every node. */
final class SshKeyFile {
  private static final long MAX_BYTES = 1024 * 1024;

  private SshKeyFile() {}

  static List<String> read(Path file) throws StartException {
    List<String> keys = new ArrayList<>();
    try {
      if (Files.size(file) > MAX_BYTES) {
        throw wrong(file, "it is larger than 1 MiB", null);
      }
      int number = 0;
      for (String line : Files.readAllLines(file)) {
        number++;
        String key = line.strip();
        if (!key.isEmpty() && !key.startsWith("#")) {
          if (!SshKeys.isKey(key)) {
            throw wrong(file, "line " + number + " is not a public key", null);
          }
          keys.add(key);
        }
      }
    } catch (IOException e) {
      throw wrong(file, "it cannot be read", e);
    }
    // A node may bring as many of its own.
    if (keys.isEmpty() || keys.size() > SshKeys.MAX_KEYS) {
      throw wrong(file, "it holds " + keys.size() + " keys", null);
    }
    int characters = keys.stream().mapToInt(String::length).sum();
    if (characters > SshKeys.MAX_CHARACTERS) {
      throw wrong(file, "its keys have " + characters + " characters", null);
    }
    return List.copyOf(keys);
  }

  private static StartException wrong(Path file, String why, @Nullable IOException cause) {
    return new StartException(
        "--ssh-keys: " + file + " cannot be used: " + why,
        "give a file with 1 to "
            + SshKeys.MAX_KEYS
            + " public keys, one a line, such as id_ed25519.pub, of at most "
            + SshKeys.MAX_CHARACTERS
            + " characters together",
        cause);
  }
}
