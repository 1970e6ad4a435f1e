package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What a unit says of itself, byte by byte (SPC-4 6.6, 6.37, 7.8; SBC-3 6.6). An initiator keeps a
 * drive's names on its own disks: they must never change.
 */
class InquiryDataTest {
  private static final UUID ID = UUID.fromString("00112233-4455-6677-8899-aabbccddeeff");

  /** The first 8 bytes of SHA-256 of {@code naa:} and the identity, the first digit replaced. */
  private static final String NAA = "3d74b0ba817ec58c";

  /** The same of {@code eui:}, local and not a group. */
  private static final String EUI = "2202cc7ab0c21695";

  private TestServer server;
  private RawInitiator initiator;

  @BeforeEach
  void logIn() throws IOException {
    server = TestServer.serving(new MemoryUnit(ID, 1 << 20, 512));
    initiator = RawInitiator.loggedIn(server).ready();
  }

  @AfterEach
  void close() throws IOException {
    initiator.close();
    server.close();
  }

  private String page(int code) throws IOException {
    byte[] cdb = {0x12, 0x01, (byte) code, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    return HexFormat.of().formatHex(initiator.parameterData(cdb, 4096));
  }

  private static String hex(String... parts) {
    return String.join("", parts).replace(" ", "");
  }

  private static String ascii(String text) {
    return HexFormat.of().formatHex(text.getBytes(StandardCharsets.US_ASCII));
  }

  @Test
  void namesAreWhatTheyHaveAlwaysBeen() {
    assertEquals(NAA, HexFormat.of().formatHex(InquiryData.naa(ID)));
    assertEquals(EUI, HexFormat.of().formatHex(InquiryData.eui64(ID)));
    UUID other = UUID.fromString("00112233-4455-6677-8899-aabbccddeefe");
    assertEquals("340a0d0808ae6022", HexFormat.of().formatHex(InquiryData.naa(other)));
    assertEquals("baa15c13bbf09693", HexFormat.of().formatHex(InquiryData.eui64(other)));
  }

  @Test
  void deviceIdentificationNamesTheUnitThePortAndTheTarget() throws IOException {
    String expected =
        hex(
            "00 83 00a8",
            "01 03 00 08", // binary, unit, NAA
            NAA,
            "01 02 00 08", // binary, unit, EUI-64
            EUI,
            "02 01 00 2c", // ASCII, unit, T10 vendor identification
            ascii("M2      " + ID),
            "51 94 00 04 00000001", // iSCSI, port, relative target port
            "51 95 00 04 00000001", // iSCSI, port, target port group
            "53 98 00 28", // iSCSI, UTF-8, port, SCSI name string
            ascii(TestServer.TARGET + ",t,0x0001") + "0000",
            "53 a8 00 20", // iSCSI, UTF-8, target device, SCSI name string
            ascii(TestServer.TARGET) + "000000");
    assertEquals(expected, page(0x83));
  }

  @Test
  void scsiPortsAreThePortalsOfEachGroup() throws IOException {
    String expected =
        hex(
            "00 88 0070",
            "0000 0001 0000 0000 0000 002c 53 98 00 28", // relative port 1, no initiator port
            ascii(TestServer.TARGET + ",t,0x0001") + "0000",
            "0000 0002 0000 0000 0000 002c 53 98 00 28",
            ascii(TestServer.TARGET + ",t,0x0002") + "0000");
    assertEquals(expected, page(0x88));
  }

  @Test
  void extendedInquiryTellsTaskAttributesAndHowAttentionsAreCleared() throws IOException {
    String expected =
        hex(
            "00 86 003c",
            "00", // no protection information
            "07", // HEADSUP, ORDSUP, SIMPSUP
            "00",
            "01", // LUICLR
            "00".repeat(56));
    assertEquals(expected, page(0x86));
  }

  @Test
  void blockLimitsAreThoseThatTheCommandsKeepTo() throws IOException {
    String expected =
        hex(
            "00 b0 003c",
            "01", // WSNZ
            "ff", // COMPARE AND WRITE of at most 255 blocks
            "0008", // granularity: 4 KiB
            "00010000", // transfer of at most 32 MiB
            "00000200", // optimal: 256 KiB
            "00000000", // prefetch: no limit told
            "00100000", // UNMAP of at most 512 MiB
            "00000100", // in 256 descriptors
            "00000008", // best in units of 4 KiB
            "80000000", // that begin at block 0
            "0000000000080000", // WRITE SAME of at most 256 MiB
            "00000200", // atomic writes of at most 256 KiB
            "00".repeat(16));
    assertEquals(expected, page(0xb0));
  }

  @Test
  void aWritableUnitIsThinlyProvisioned() throws IOException {
    // LBPU, LBPWS, LBPWS10, LBPRZ; thin.
    assertEquals(hex("00 b2 0004", "00 e4 02 00"), page(0xb2));
  }

  @Test
  void allPortGroupsAreActive() throws IOException {
    byte[] cdb = {(byte) 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0};
    String groups =
        hex(
            "00 01 0001 00 00 00 01 0000 0001", // active/optimized, the only state; one port
            "00 01 0002 00 00 00 01 0000 0002");
    assertEquals("00000018" + groups, HexFormat.of().formatHex(initiator.parameterData(cdb, 4096)));
    cdb[1] = 0x2a;
    assertEquals(
        hex("0000001c 10 00 0000", groups),
        HexFormat.of().formatHex(initiator.parameterData(cdb, 4096)),
        "extended header, no transition time");
  }
}
