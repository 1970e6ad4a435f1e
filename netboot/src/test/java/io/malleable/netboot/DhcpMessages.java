package io.malleable.netboot;

import io.malleable.netboot.DhcpPacket.Op;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** Messages as clients send them. */
final class DhcpMessages {
  static final int XID = 0x12345678;

  private DhcpMessages() {}

  static DhcpPacket message(
      DhcpMessageType type, MacAddress mac, Consumer<DhcpOptions.Builder> options) {
    return message(type, mac, Ipv4.ANY, Ipv4.ANY, options);
  }

  static DhcpPacket message(
      DhcpMessageType type,
      MacAddress mac,
      Ipv4 ciaddr,
      Ipv4 giaddr,
      Consumer<DhcpOptions.Builder> options) {
    DhcpOptions.Builder builder = DhcpOptions.builder();
    builder.u8(DhcpOptions.MESSAGE_TYPE, type.code);
    options.accept(builder);
    return new DhcpPacket(
        Op.BOOTREQUEST,
        0,
        XID,
        4,
        false,
        ciaddr,
        Ipv4.ANY,
        Ipv4.ANY,
        giaddr,
        mac,
        "",
        "",
        builder.build());
  }

  /** A boot ROM or UEFI with its architecture. */
  static Consumer<DhcpOptions.Builder> pxe(int architecture) {
    return options ->
        options
            .text(
                DhcpOptions.VENDOR_CLASS, "PXEClient:Arch:%05d:UNDI:003016".formatted(architecture))
            .add(DhcpOptions.CLIENT_ARCHITECTURE, u16(architecture))
            .add(DhcpOptions.CLIENT_MACHINE_IDENTIFIER, new byte[17]);
  }

  static Consumer<DhcpOptions.Builder> http(int architecture) {
    return options ->
        options
            .text(
                DhcpOptions.VENDOR_CLASS,
                "HTTPClient:Arch:%05d:UNDI:003001".formatted(architecture))
            .add(DhcpOptions.CLIENT_ARCHITECTURE, u16(architecture));
  }

  static Consumer<DhcpOptions.Builder> ipxe() {
    return pxe(0)
        .andThen(options -> options.add(77, "iPXE".getBytes(StandardCharsets.US_ASCII)))
        .andThen(options -> options.add(175, new byte[] {(byte) 0xb1, 1, 1}));
  }

  static Consumer<DhcpOptions.Builder> nothing() {
    return options -> {};
  }

  private static byte[] u16(int value) {
    return ByteBuffer.allocate(2).putShort((short) value).array();
  }
}
