package io.malleable.image;

import java.io.IOException;

/** Bytes of a drive that make no sense, or that claim more than a check is ready to follow. */
final class DamagedException extends IOException {
  private static final long serialVersionUID = 1;

  DamagedException(String message) {
    super(message);
  }

  DamagedException(String message, Throwable cause) {
    super(message, cause);
  }
}
