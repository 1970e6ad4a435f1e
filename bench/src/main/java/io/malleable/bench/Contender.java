package io.malleable.bench;

import java.io.IOException;

/** A running target with one LUN that holds the benchmark's bytes. */
interface Contender {
  String name();

  /** For libiscsi's programs and QEMU. */
  String url();

  /** Whose CPU time counts. */
  long pid();

  /** Stops the process that was started, and nothing else. */
  void stop() throws IOException, InterruptedException;
}
