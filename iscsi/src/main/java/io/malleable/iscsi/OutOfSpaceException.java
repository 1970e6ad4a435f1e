package io.malleable.iscsi;

import java.io.IOException;

/**
 * The store cannot take more data: SPACE ALLOCATION FAILED WRITE PROTECT (SBC-3 4.7.3.6), not a
 * medium error.
 */
public final class OutOfSpaceException extends IOException {
  private final Whose whose;

  /** Who has reached a limit. */
  public enum Whose {
    /** The store, for all units; somebody may make room, so waiting a little may help. */
    STORE,
    /** This unit; whoever uses it has to change that. */
    UNIT
  }

  public OutOfSpaceException(String message) {
    this(Whose.STORE, message);
  }

  public OutOfSpaceException(Whose whose, String message) {
    super(message);
    this.whose = whose;
  }

  /** Whether to answer BUSY for a while. */
  boolean mayPass() {
    return whose == Whose.STORE;
  }
}
