package io.malleable.cli;

/**
 * What one check found.
 *
 * @param remedy what to do; empty when all is well
 */
public record Finding(String what, State state, String detail, String remedy) {

  /** The names are what the user sees. A warning is about what only some need. */
  public enum State {
    /** It works. */
    ok,
    /** Some need it. */
    warning,
    /** It does not work. */
    failed
  }

  /** All is well. */
  public static Finding ok(String what, String detail) {
    return new Finding(what, State.ok, detail, "");
  }
}
