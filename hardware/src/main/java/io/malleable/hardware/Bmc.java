package io.malleable.hardware;

import java.io.IOException;

/**
 * Single requests to one BMC. Each is tried once; {@link VerifiedPower} repeats and checks them. A
 * failure that another attempt may mend is a {@link PowerException} of kind {@code UNREACHABLE}.
 */
interface Bmc {
  /** What this BMC is called in messages: its address without account. */
  String name();

  PowerState powerState() throws IOException;

  void powerOn() throws IOException;

  /** Cuts power without asking the operating system. */
  void powerOff() throws IOException;

  /** Sets the override for one boot and reads it back. */
  void bootFromNetworkOnce() throws IOException;

  /** Gives back what the requests of one call have in common, such as a session. */
  default void release() {}

  /** The same when the BMC cannot be asked, so that the next request begins afresh. */
  default void abandon() {}
}
