package io.malleable.app;

import org.jspecify.annotations.Nullable;

/** The server cannot start for a cause that its operator can remove. */
final class StartException extends Exception {
  private static final long serialVersionUID = 1L;

  private final String hint;

  StartException(String message, String hint, @Nullable Throwable cause) {
    super(message, cause);
    this.hint = hint;
  }

  String hint() {
    return hint;
  }
}
