package io.malleable.hardware;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A machine could not be switched. The message says what happened; the remedy what to do next. */
public final class PowerException extends IOException {
  private static final long serialVersionUID = 1L;

  /** What sort of failure it was, for callers that treat them differently. */
  public enum Kind {
    /** The BMC did not answer within the time limit, on any attempt. */
    UNREACHABLE,
    /** User or password are wrong, missing, or lack the privilege. */
    AUTHENTICATION,
    /** The BMC answered that it will not or cannot do it. */
    REFUSED,
    /** The BMC claimed success but the machine did not follow within the time limit. */
    NOT_APPLIED,
    /** Something on our side is missing or wrong: a program, a file, a definition. */
    CONFIGURATION
  }

  private final Kind kind;
  private final String remedy;

  PowerException(Kind kind, String message, String remedy) {
    this(kind, message, remedy, null);
  }

  PowerException(Kind kind, String message, String remedy, @Nullable Throwable cause) {
    super(message, cause);
    this.kind = kind;
    this.remedy = remedy;
  }

  /** Never null, unlike that of exceptions in general. */
  @Override
  public String getMessage() {
    return String.valueOf(super.getMessage());
  }

  public Kind kind() {
    return kind;
  }

  public String remedy() {
    return remedy;
  }
}
