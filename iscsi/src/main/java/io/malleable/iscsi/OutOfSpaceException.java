package io.malleable.iscsi;

import java.io.IOException;

/**
 * The store cannot take more data: SPACE ALLOCATION FAILED WRITE PROTECT (SBC-3 4.7.3.6), not a
 * medium error.
 */
public final class OutOfSpaceException extends IOException {
  public OutOfSpaceException(String message) {
    super(message);
  }
}
