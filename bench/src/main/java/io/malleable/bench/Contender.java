package io.malleable.bench;

import java.io.IOException;

/** A running target with one LUN that holds the benchmark's bytes. */
interface Contender {
  String name();

  /** For libiscsi's programs and QEMU. */
  String url();

  /**
   * For the same, a unit with the same bytes of which no block was written to: a new clone, where
   * there are clones. It takes the place of the one before.
   */
  default String freshUrl() throws IOException, InterruptedException {
    return url();
  }

  /** Whose CPU time counts. */
  long pid();

  /** Stops the process that was started, and nothing else. */
  void stop() throws IOException, InterruptedException;
}
