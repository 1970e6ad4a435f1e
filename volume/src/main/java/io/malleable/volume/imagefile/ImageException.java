package io.malleable.volume.imagefile;

import java.io.IOException;

/** Why an image file could not be imported. Nothing is left behind when it is thrown. */
public final class ImageException extends IOException {
  /** Stable: callers map these to their own codes. */
  public enum Reason {
    FILE_MISSING,
    NOT_A_FILE,
    NOT_READABLE,
    EMPTY,
    NOT_AN_IMAGE,
    UNSUPPORTED_FORMAT,
    TRUNCATED,
    DAMAGED,
    HAS_BACKING_FILE,
    TOO_LARGE,
    CHANGED_MEANWHILE,
    CHECKSUM_WRONG,
    CANCELLED,
    TOOL_MISSING,
    TOOL_FAILED
  }

  private final Reason reason;
  private final String hint;

  ImageException(Reason reason, String message, String hint) {
    super(message);
    this.reason = reason;
    this.hint = hint;
  }

  public Reason reason() {
    return reason;
  }

  /** What to do about it, one sentence. */
  public String hint() {
    return hint;
  }
}
