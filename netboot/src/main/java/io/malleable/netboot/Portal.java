package io.malleable.netboot;

import java.net.InetAddress;
import java.util.Optional;

/**
 * Where a target listens, seen from a booting machine.
 *
 * @param address empty: the address by which the machine reached the boot listener
 */
public record Portal(Optional<InetAddress> address, int port) {
  public Portal {
    if (port < 1 || port > 65535) {
      throw new IllegalArgumentException("port must be within 1..65535: " + port);
    }
  }

  /** A portal on the host that serves the boot script. */
  public static Portal sameHost(int port) {
    return new Portal(Optional.empty(), port);
  }
}
