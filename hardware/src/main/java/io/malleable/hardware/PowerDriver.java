package io.malleable.hardware;

import java.io.IOException;

/**
 * Switches one machine. Every call has a time limit of the driver's own, verifies what it set, and
 * may be repeated: {@link #on()} of a running machine succeeds and changes nothing. Calls block;
 * use them from a virtual thread.
 */
public interface PowerDriver {
  PowerState state() throws IOException;

  void on() throws IOException;

  /** Cuts power at once; returns when the machine is off. */
  void off() throws IOException;

  /** The next power-on boots from the network once, where the hardware can be told so. */
  void bootFromNetworkOnce() throws IOException;

  /** Off, if it is on, and on again. */
  default void cycle() throws IOException {
    if (state() != PowerState.OFF) {
      off();
    }
    on();
  }
}
