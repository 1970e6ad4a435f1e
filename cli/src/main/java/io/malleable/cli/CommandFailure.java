package io.malleable.cli;

import org.jspecify.annotations.Nullable;

/**
 * Ends a command with exit status 1. The message says what happened and why, the hint what to do
 * next; both are shown to the user as they are.
 */
public class CommandFailure extends RuntimeException {
  private final String what;
  private final @Nullable String hint;

  /** A failure with nothing to advise. */
  public CommandFailure(String message) {
    this(message, null, null);
  }

  /** A failure and its remedy. */
  public CommandFailure(String message, @Nullable String hint) {
    this(message, hint, null);
  }

  /** A failure with its remedy and what it came from. */
  public CommandFailure(String message, @Nullable String hint, @Nullable Throwable cause) {
    super(message, cause);
    this.what = message;
    this.hint = hint;
  }

  /** What happened and why. */
  public final String what() {
    return what;
  }

  /** What to do next, if there is something to say. */
  public final @Nullable String hint() {
    return hint;
  }
}
