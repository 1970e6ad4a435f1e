package io.malleable.iscsi;

import java.net.InetSocketAddress;

/**
 * Where a server listens.
 *
 * @param address port 0 lets the system choose
 * @param groupTag portal group tag, 1 to 65535 (RFC 7143 4.4.1); portals of different groups are
 *     different target ports and thus different paths to the same unit
 */
public record Portal(InetSocketAddress address, int groupTag) {
  public Portal {
    if (groupTag < 1 || groupTag > 65535) {
      throw new IllegalArgumentException("portal group tag " + groupTag + "; use 1 to 65535");
    }
  }
}
