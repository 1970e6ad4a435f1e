package io.malleable.hardware;

import java.io.Closeable;
import java.io.IOException;
import java.time.Duration;

/**
 * A console that is open. One thread may read while another writes; {@link #close} may come from
 * any.
 */
public interface ConsoleSession extends Closeable {
  /**
   * Waits for output of the machine.
   *
   * @return the number of bytes now at the start of {@code into}, 0 when nothing came in time, or
   *     -1 when the console has ended and nothing will follow
   */
  int read(byte[] into, Duration timeout) throws IOException;

  /** Types into the machine. Returns when the bytes are handed over, not when they are read. */
  void write(byte[] input) throws IOException;
}
