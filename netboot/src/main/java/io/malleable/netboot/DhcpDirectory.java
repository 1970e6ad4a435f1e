package io.malleable.netboot;

import java.util.Optional;

/**
 * Knows which machines are ours. Called for each message, by one thread at a time; an answer must
 * not depend on how many machines there are.
 */
public interface DhcpDirectory {
  /** The node that has this interface; empty for a stranger. */
  Optional<Host> find(MacAddress mac);

  /** Whether some node has this address for its own, so that the pool leaves it alone. */
  default boolean isReserved(Ipv4 address) {
    return false;
  }

  /**
   * A node as DHCP sees it.
   *
   * @param address its own address; empty: one from the pool
   * @param hostName for option 12
   */
  record Host(String node, Optional<Ipv4> address, Optional<String> hostName) {}
}
