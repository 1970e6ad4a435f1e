package io.malleable.control;

import java.util.Optional;

/**
 * Called between any two effects of an operation, so that tests can end the process there. The
 * moment before a step is after it was recorded as running; the moment after it is before it is
 * recorded as done. Undoing has points of its own, named {@code undo-STEP}.
 */
@FunctionalInterface
interface FaultPoints {
  /** Which side of a step. */
  enum Moment {
    BEFORE,
    AFTER
  }

  void reach(OperationKind kind, String step, Moment moment);

  /** Status of a process that was killed, as a shell shows it. */
  int KILLED = 137;

  /**
   * Reads {@code m2.fault} or {@code M2_FAULT}, {@code KIND:STEP:before|after}; the process halts
   * there without any clean-up.
   */
  static FaultPoints fromEnvironment() {
    Optional<String> wanted =
        Optional.ofNullable(System.getProperty("m2.fault"))
            .or(() -> Optional.ofNullable(System.getenv("M2_FAULT")))
            .filter(text -> !text.isBlank());
    if (wanted.isEmpty()) {
      return (_, _, _) -> {};
    }
    String point = wanted.get();
    return (kind, step, moment) -> {
      if (point.equals(name(kind, step, moment))) {
        Runtime.getRuntime().halt(KILLED);
      }
    };
  }

  static String name(OperationKind kind, String step, Moment moment) {
    return kind.word() + ":" + step + (moment == Moment.BEFORE ? ":before" : ":after");
  }
}
