package io.malleable.image;

import java.io.IOException;

/** Bytes that may be in order, and that this program does not read. */
final class UnreadableException extends IOException {
  private static final long serialVersionUID = 1;

  UnreadableException(String message) {
    super(message);
  }
}
