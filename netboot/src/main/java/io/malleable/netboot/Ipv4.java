package io.malleable.netboot;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Optional;

/**
 * An IPv4 address.
 *
 * @param value the four octets in network order
 */
public record Ipv4(int value) {
  static final Ipv4 ANY = new Ipv4(0);
  static final Ipv4 BROADCAST = new Ipv4(-1);

  /**
   * Reads an address that must be right.
   *
   * @throws IllegalArgumentException names the text
   */
  public static Ipv4 read(String text) {
    return parse(text)
        .orElseThrow(() -> new IllegalArgumentException("not an IPv4 address: \"" + text + "\""));
  }

  /** Reads dotted decimal with exactly four parts. */
  public static Optional<Ipv4> parse(String text) {
    if (!text.matches("\\d{1,3}(\\.\\d{1,3}){3}")) {
      return Optional.empty();
    }
    int value = 0;
    for (String part : text.split("\\.", -1)) {
      int octet = Integer.parseInt(part);
      if (octet > 255) {
        return Optional.empty();
      }
      value = value << 8 | octet;
    }
    return Optional.of(new Ipv4(value));
  }

  static Ipv4 of(Inet4Address address) {
    byte[] octets = address.getAddress();
    int value = 0;
    for (byte octet : octets) {
      value = value << 8 | (octet & 0xff);
    }
    return new Ipv4(value);
  }

  boolean isAny() {
    return value == 0;
  }

  byte[] octets() {
    return new byte[] {
      (byte) (value >>> 24), (byte) (value >>> 16), (byte) (value >>> 8), (byte) value
    };
  }

  public InetAddress toInetAddress() {
    try {
      return InetAddress.getByAddress(octets());
    } catch (UnknownHostException impossible) {
      throw new AssertionError("four octets are always an address", impossible);
    }
  }

  @Override
  public String toString() {
    return (value >>> 24)
        + "."
        + (value >>> 16 & 0xff)
        + "."
        + (value >>> 8 & 0xff)
        + "."
        + (value & 0xff);
  }
}
