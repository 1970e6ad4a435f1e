package io.malleable.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** Public keys as in {@code authorized_keys}, without options. */
final class SshKeys {
  private static final long MAX_BYTES = 1024 * 1024;
  private static final int MAX_KEYS = 256;
  private static final Pattern KEY =
      Pattern.compile("(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]{16,8192}( [ -~]{0,256})?");

  private SshKeys() {}

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
          if (!KEY.matcher(key).matches()) {
            throw wrong(file, "line " + number + " is not a public key", null);
          }
          keys.add(key);
        }
      }
    } catch (IOException e) {
      throw wrong(file, "it cannot be read", e);
    }
    if (keys.isEmpty() || keys.size() > MAX_KEYS) {
      throw wrong(file, "it holds " + keys.size() + " keys", null);
    }
    return List.copyOf(keys);
  }

  private static StartException wrong(
      Path file, String why, @org.jspecify.annotations.Nullable IOException cause) {
    return new StartException(
        "--ssh-keys: " + file + " cannot be used: " + why,
        "give a file with 1 to " + MAX_KEYS + " public keys, one a line, such as id_ed25519.pub",
        cause);
  }
}
