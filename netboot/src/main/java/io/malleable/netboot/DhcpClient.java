package io.malleable.netboot;

import java.util.OptionalInt;

/**
 * What kind of program asks, and for which processor.
 *
 * @param architecture RFC 4578 2.1 and the IANA registry; empty when it does not say
 */
record DhcpClient(Kind kind, OptionalInt architecture) {

  /** A program that asks for an address, as far as booting goes. */
  enum Kind {
    /** iPXE: wants a script. */
    IPXE,
    /** A PXE boot ROM: wants a loader by TFTP. */
    PXE,
    /** UEFI HTTP boot: wants the URL of a loader. */
    HTTP,
    /** An operating system: wants an address only. */
    OTHER
  }

  static DhcpClient of(DhcpPacket packet) {
    return new DhcpClient(
        kind(packet.options()), packet.options().u16(DhcpOptions.CLIENT_ARCHITECTURE));
  }

  private static Kind kind(DhcpOptions options) {
    // iPXE calls itself PXEClient as well, so it is asked first. Its user class is bare text,
    // without the length octets of RFC 3004.
    if (options.has(DhcpOptions.IPXE_ENCAPSULATED)
        || options.text(DhcpOptions.USER_CLASS).orElse("").contains("iPXE")) {
      return Kind.IPXE;
    }
    String vendorClass = options.text(DhcpOptions.VENDOR_CLASS).orElse("");
    if (vendorClass.startsWith("PXEClient")) {
      return Kind.PXE;
    }
    return vendorClass.startsWith("HTTPClient") ? Kind.HTTP : Kind.OTHER;
  }
}
