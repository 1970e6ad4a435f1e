package io.malleable.netboot;

import java.util.Optional;
import java.util.OptionalInt;

/**
 * A DHCP message (RFC 2131 2). The field names are the standard's.
 *
 * @param secs seconds since the client began, as it says
 * @param broadcast whether the client cannot receive unicast yet
 * @param chaddr the client's hardware address; only Ethernet is supported
 * @param sname server host name, empty when the field carried options
 * @param file boot file name, empty when the field carried options
 */
record DhcpPacket(
    Op op,
    int hops,
    int xid,
    int secs,
    boolean broadcast,
    Ipv4 ciaddr,
    Ipv4 yiaddr,
    Ipv4 siaddr,
    Ipv4 giaddr,
    MacAddress chaddr,
    String sname,
    String file,
    DhcpOptions options) {

  /** Who speaks. */
  enum Op {
    BOOTREQUEST(1),
    BOOTREPLY(2);

    final int code;

    Op(int code) {
      this.code = code;
    }
  }

  /** Option 53; plain BOOTP has none and is not served. */
  Optional<DhcpMessageType> type() {
    OptionalInt code = options.u8(DhcpOptions.MESSAGE_TYPE);
    return code.isPresent() ? DhcpMessageType.of(code.getAsInt()) : Optional.empty();
  }
}
