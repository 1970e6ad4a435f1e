package io.malleable.netboot;

/** A datagram that is no DHCP message; it is counted and skipped. */
final class DhcpFormatException extends Exception {
  DhcpFormatException(String message) {
    super(message, null, false, false); // no stack trace: hostile peers produce these at will
  }
}
