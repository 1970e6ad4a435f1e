package io.malleable.iscsi;

import java.io.IOException;

/**
 * The store cannot take more data: SPACE ALLOCATION FAILED WRITE PROTECT (SBC-3 4.7.3.6), not a
 * medium error.
 */
public final class OutOfSpaceException extends IOException {
  private static final long serialVersionUID = 1;

  /** What is full. */
  public enum Scope {
    /** The store: it may have room again soon, so initiators may be told to wait. */
    STORE,
    /** The unit, whatever room the store has: waiting does not help. */
    UNIT
  }

  private final Scope scope;

  public OutOfSpaceException(Scope scope, String message) {
    super(message);
    this.scope = scope;
  }

  public Scope scope() {
    return scope;
  }
}
