package io.malleable.netboot;

import java.util.Optional;

/** DHCP message types (RFC 2132 9.6). */
public enum DhcpMessageType {
  DISCOVER(1),
  OFFER(2),
  REQUEST(3),
  DECLINE(4),
  ACK(5),
  NAK(6),
  RELEASE(7),
  INFORM(8);

  final int code;

  DhcpMessageType(int code) {
    this.code = code;
  }

  static Optional<DhcpMessageType> of(int code) {
    return code >= 1 && code <= values().length
        ? Optional.of(values()[code - 1])
        : Optional.empty();
  }
}
