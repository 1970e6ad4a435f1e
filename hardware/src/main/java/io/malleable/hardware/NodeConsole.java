package io.malleable.hardware;

import java.io.IOException;

/** The serial console of one machine. */
public interface NodeConsole {
  /**
   * Opens the console.
   *
   * @param tailBytes how much of what was written before shall be read first, at most; a console
   *     that keeps no past, such as Serial over LAN, starts with what comes next
   */
  ConsoleSession open(int tailBytes) throws IOException;
}
