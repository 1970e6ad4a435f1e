package io.malleable.control;

/** What a step sees of the operation that it is part of. */
interface Run {
  Operation operation();

  Database database();

  /** Part of this step that is done, 0 to 1. */
  void progress(double done);

  /** Whether the step shall give up soon. */
  boolean isCancelled();
}
