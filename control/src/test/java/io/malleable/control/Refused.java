package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.function.Executable;

/** Expects that something is refused, with a code and with words for people. */
final class Refused {
  private Refused() {}

  static ControlException with(ErrorCode code, Executable request) {
    ControlException refusal = assertThrows(ControlException.class, request);
    assertEquals(code, refusal.code(), refusal.message());
    return refusal;
  }
}
