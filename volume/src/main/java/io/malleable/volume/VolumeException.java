package io.malleable.volume;

import java.io.IOException;

/**
 * A request that the store understood and refuses, or a state of the store that the caller must
 * tell apart.
 */
public final class VolumeException extends IOException {
  /** Stable: callers map these to their own codes. */
  public enum Reason {
    NOT_FOUND,
    ALREADY_EXISTS,
    IN_USE,
    HAS_DEPENDANTS,
    NOT_SEALED,
    SEALED,
    INVALID_SIZE,
    NOT_A_SNAPSHOT_OF_DISK,
    OUT_OF_SPACE,
    TOO_FRAGMENTED,
    CORRUPT,
    FORMAT_TOO_OLD,
    FORMAT_TOO_NEW,
    CANCELLED,
    UNAVAILABLE
  }

  private final Reason reason;

  public VolumeException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public VolumeException(Reason reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}
