package io.malleable.image;

import java.io.IOException;

/** A check that took longer than it may. */
final class CheckTimeoutException extends IOException {
  private static final long serialVersionUID = 1;

  CheckTimeoutException(long limitSeconds) {
    super("the check took longer than " + limitSeconds + " s");
  }
}
