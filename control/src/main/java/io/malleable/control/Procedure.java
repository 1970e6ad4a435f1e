package io.malleable.control;

import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/** How operations of one kind are done. */
interface Procedure {
  /** The same for the same input, also in a later version of the server. */
  List<Step> steps(Operation operation);

  /** What the operation holds until its end. */
  Set<UUID> claims(Operation operation);

  /**
   * When every step is undone: makes outside the database what {@link #rolledBack} then writes.
   * Repeated until it succeeds.
   */
  default void restore(Run run) throws IOException {}

  /** Takes back what the transaction that started the operation wrote. */
  default void rolledBack(Rows rows, Operation operation) {}

  /**
   * Clean-up after the end, whatever it was. A crash can skip it: nothing may depend on it but
   * space.
   */
  default void ended(Operation operation) throws IOException {}

  /** How the operation may be run. */
  default Pace pace() {
    return Pace.SHORT;
  }

  /** How long operations of a kind take. */
  enum Pace {
    /** Some milliseconds of our own doing: done when the call returns. */
    INSTANT,
    /** Depends on machines. */
    SHORT,
    /** Moves data. */
    LONG
  }
}
