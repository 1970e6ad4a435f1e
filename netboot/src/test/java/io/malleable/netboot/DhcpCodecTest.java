package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class DhcpCodecTest {
  /** DISCOVER of iPXE 1.0.0 (Debian) in QEMU, with options in the order that it sends them. */
  private static final byte[] IPXE_DISCOVER =
      hex(
          "01 01 06 00 12345678 0004 0000" // BOOTREQUEST, Ethernet, xid, secs, unicast
              + "00000000 00000000 00000000 00000000" // no addresses yet
              + "525400770001 00000000000000000000" // chaddr
              + "00".repeat(64 + 128)
              + "63825363"
              + "35 01 01" // DISCOVER
              + "39 02 05c0" // at most 1472 octets
              + "5d 02 0000" // architecture: BIOS
              + "5e 03 010201" // UNDI 2.1
              + "3c 20" // vendor class
              + "505845436c69656e743a417263683a30303030303a554e44493a303032303031"
              + "4d 04 69505845" // user class iPXE
              + "37 02 0143" // parameters wanted
              + "af 06 b10101 130101" // iPXE features
              + "3d 07 01525400770001" // client identifier
              + "61 11 00 0b2f1a567a0e4b539f2e000000000003"
              + "ff");

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text.replace(" ", ""));
  }

  private static DhcpPacket decode(byte[] octets) throws DhcpFormatException {
    return DhcpCodec.decode(ByteBuffer.wrap(octets));
  }

  @Test
  void discoverOfIpxeIsUnderstood() throws Exception {
    DhcpPacket packet = decode(IPXE_DISCOVER);
    assertEquals(DhcpPacket.Op.BOOTREQUEST, packet.op());
    assertEquals(0x12345678, packet.xid());
    assertEquals(4, packet.secs());
    assertFalse(packet.broadcast());
    assertEquals("52:54:00:77:00:01", packet.chaddr().toString());
    assertEquals(Optional.of(DhcpMessageType.DISCOVER), packet.type());
    assertEquals(DhcpClient.Kind.IPXE, DhcpClient.of(packet).kind());
    assertEquals(0, DhcpClient.of(packet).architecture().orElseThrow());
    assertEquals(10, packet.options().codes().size());
  }

  @Test
  void replyIsWrittenFieldByField() {
    DhcpPacket packet =
        new DhcpPacket(
            DhcpPacket.Op.BOOTREPLY,
            0,
            0x12345678,
            0,
            true,
            Ipv4.ANY,
            Ipv4.parse("10.1.0.5").orElseThrow(),
            Ipv4.parse("10.1.0.1").orElseThrow(),
            Ipv4.ANY,
            MacAddress.parse("52:54:00:77:00:01").orElseThrow(),
            "",
            "undionly.kpxe",
            DhcpOptions.builder()
                .add(82, hex("0104 0000 0001"))
                .u32(51, 3600)
                .address(54, Ipv4.parse("10.1.0.1").orElseThrow())
                .u8(53, 2)
                .build());
    byte[] expected =
        Arrays.copyOf(
            hex(
                "02 01 06 00 12345678 0000 8000"
                    + "00000000 0a010005 0a010001 00000000"
                    + "525400770001 00000000000000000000"
                    + "00".repeat(64)
                    + "756e64696f6e6c792e6b70786500" // undionly.kpxe
                    + "00".repeat(128 - 14)
                    + "63825363"
                    + "35 01 02" // message type first
                    + "33 04 00000e10"
                    + "36 04 0a010001"
                    + "52 06 010400000001" // relay information last
                    + "ff"),
            300);
    assertArrayEquals(expected, DhcpCodec.encode(packet));
  }

  @Test
  void everyMessageCutOffIsRefusedOrUnderstoodAndNeverMore() throws Exception {
    for (int length = 0; length < IPXE_DISCOVER.length; length++) {
      byte[] cut = Arrays.copyOf(IPXE_DISCOVER, length);
      try {
        DhcpPacket packet = decode(cut);
        assertTrue(packet.options().codes().size() <= 10);
      } catch (DhcpFormatException refused) {
        assertFalse(refused.toString().isEmpty());
      }
    }
  }

  @Test
  void foreignHardwareCookieAndOpAreRefused() {
    for (int[] change : new int[][] {{0, 3}, {1, 6}, {2, 16}, {236, 0}}) {
      byte[] octets = IPXE_DISCOVER.clone();
      octets[change[0]] = (byte) change[1];
      assertThrows(DhcpFormatException.class, () -> decode(octets), "octet " + change[0]);
    }
    assertThrows(DhcpFormatException.class, () -> decode(new byte[1501]));
  }

  @Test
  void optionInPartsIsOneValueAndIsWrittenInParts() throws Exception {
    byte[] value = new byte[600];
    for (int i = 0; i < value.length; i++) {
      value[i] = (byte) i;
    }
    DhcpPacket packet =
        DhcpMessages.message(
            DhcpMessageType.DISCOVER, new MacAddress(1), options -> options.add(43, value));
    DhcpPacket again = decode(DhcpCodec.encode(packet));
    assertEquals(packet, again);
    assertArrayEquals(value, again.options().octets(43).orElseThrow());
  }

  @Test
  void optionsInFileAndSnameAreReadWhenTheMessageSaysSo() throws Exception {
    byte[] octets =
        hex(
            "01 01 06 00 12345678 0000 0000"
                + "00".repeat(16)
                + "525400770001 00000000000000000000"
                + "0c 01 62 ff"
                + "00".repeat(60) // sname: host name b
                + "0c 01 61 ff"
                + "00".repeat(124) // file: host name a
                + "63825363 350101 340103 ff");
    DhcpPacket packet = decode(octets);
    assertEquals(Optional.of("ab"), packet.options().text(DhcpOptions.HOST_NAME));
    assertEquals("", packet.file());
    assertEquals("", packet.sname());
  }
}
