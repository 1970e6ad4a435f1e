package io.malleable.hardware;

import java.io.IOException;
import java.util.Optional;

/**
 * Where the passwords of BMCs come from. They are kept apart from the addresses, which are shown,
 * logged and exported.
 */
@FunctionalInterface
public interface Credentials {
  /** The password of {@code user} at the BMC {@code host}, or empty when none is kept. */
  Optional<Secret> password(String user, String host) throws IOException;

  /** No passwords at all: enough for the drivers {@code none} and {@code qemu}. */
  static Credentials none() {
    return (user, host) -> Optional.empty();
  }
}
