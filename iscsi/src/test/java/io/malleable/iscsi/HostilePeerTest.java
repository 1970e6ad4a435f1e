package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each attack ends its own connection; a well-behaved neighbour never notices. */
class HostilePeerTest {
  private final MemoryUnit unit = new MemoryUnit(16 << 20);
  private final Recorder recorder = new Recorder();
  private TestServer server;
  private RawInitiator neighbour;

  @BeforeEach
  void aNeighbourIsLoggedIn() throws IOException {
    server =
        TestServer.serving(
            List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
            ReservationStore.none(),
            recorder,
            config ->
                config
                    .withTimeouts(
                        Duration.ofSeconds(5), Duration.ofSeconds(60), Duration.ofSeconds(4))
                    .withMaxConnections(16));
    neighbour = new RawInitiator(server.address());
    neighbour.isid = 0x00023d00ffffL;
    neighbour.login("iqn.2026-11.io.malleable.node:neighbour");
    neighbour.ready();
  }

  @AfterEach
  void theNeighbourIsStillServed() throws IOException {
    byte[] data = new byte[4096];
    Arrays.fill(data, (byte) 0x77);
    assertEquals(0, neighbour.write(100, data, 512).scsiStatus());
    assertArrayEquals(data, neighbour.read(100, 8, 512));
    assertEquals(0x26, neighbour.logout().opcode());
    neighbour.close();
    server.close();
    assertEquals(0, server.server().counters().bufferBytes(), "of connections that have ended");
  }

  private RawInitiator attacker() throws IOException {
    return RawInitiator.loggedIn(server, "InitialR2T=No").ready();
  }

  @Test
  void aLoginThatNeverEndsIsCutOff() throws IOException {
    try (RawInitiator slow = new RawInitiator(server.address())) {
      slow.sendBytes(new byte[] {0x43});
      assertTrue(slow.isCutOff());
    }
  }

  @Test
  void aPduThatIsNeverCompletedIsCutOff() throws IOException {
    try (RawInitiator slow = attacker()) {
      ByteBuffer header = slow.command(0xa0, 4096, RawInitiator.write10(0, 8));
      header.putInt(4, 4096);
      slow.sendHeader(header);
      assertTrue(slow.isCutOff());
    }
  }

  @Test
  void aPeerThatTakesNoDataIsCutOff() throws Exception {
    try (RawInitiator deaf = attacker()) {
      int cmdSn = deaf.cmdSn;
      for (int i = 0; i < 64; i++) {
        // 64 MiB in all, which no socket buffers take; nobody reads them.
        deaf.send(deaf.command(0xc0, 1 << 20, RawInitiator.read10(0, 2048)), new byte[0]);
      }
      assertEquals(cmdSn + 64, deaf.cmdSn);
      String end = "end " + TestServer.INITIATOR + ": TIMEOUT";
      assertEquals(end, recorder.skipTo(end));
    }
  }

  @Test
  void aDataSegmentLongerThanDeclaredIsCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      ByteBuffer header = initiator.command(0xa0, 0xffffff, RawInitiator.write10(0, 8));
      header.putInt(4, 0xffffff);
      initiator.sendHeader(header);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void aLoginSegmentLongerThanTheDefaultIsCutOff() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      ByteBuffer header = ByteBuffer.allocate(48).put(0, (byte) 0x43).putInt(4, 8193);
      initiator.sendHeader(header);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void textKeysWithoutEndAreCutOff() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      byte[] endless = new byte[4096];
      Arrays.fill(endless, (byte) 'k');
      for (int i = 0; i < 3; i++) {
        // C bit: the key goes on in the next PDU.
        assertEquals(0, initiator.loginRequest(0x44, endless).loginStatus());
      }
      initiator.sendLogin(0x44, endless);
      initiator.sendLogin(0x44, endless);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void textKeysWithoutEndAfterLoginAreCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      byte[] endless = new byte[4096];
      Arrays.fill(endless, (byte) 'k');
      int tag = -1;
      for (int i = 0; i < 5; i++) {
        ByteBuffer request = ByteBuffer.allocate(48).put(0, (byte) 0x04).put(1, (byte) 0x40);
        request.putInt(16, 9).putInt(20, tag).putInt(24, initiator.cmdSn++);
        initiator.send(request, endless);
        if (i < 4) {
          Pdu more = initiator.receive();
          assertEquals(0x24, more.opcode());
          tag = more.header().getInt(20);
        }
      }
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void tooManyTextKeysAreCutOff() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      Map<String, String> keys = new LinkedHashMap<>();
      for (int i = 0; i < 100; i++) {
        keys.put("X-key" + i, "v");
      }
      initiator.sendLogin(0x87, RawInitiator.text(keys));
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void aLoginThatGoesInCirclesIsRefused() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      Map<String, String> keys = new LinkedHashMap<>();
      keys.put("InitiatorName", TestServer.INITIATOR);
      keys.put("TargetName", TestServer.TARGET);
      Pdu answer = initiator.loginRequest(0x04, RawInitiator.text(keys));
      int count = 0;
      while (answer.loginStatus() == 0 && count++ < 100) {
        answer = initiator.loginRequest(0x04, new byte[0]);
      }
      assertEquals(0x0200, answer.loginStatus());
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void aCommandBeforeLoginIsCutOff() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      initiator.send(initiator.command(0x80, 0, new byte[16]), new byte[0]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void negativeAndHugeAddressesAreOutOfRange() throws IOException {
    try (RawInitiator initiator = attacker()) {
      for (long lba : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, (16 << 20) / 512}) {
        byte[] cdb =
            ByteBuffer.allocate(16).put((byte) 0x88).put((byte) 0).putLong(lba).putInt(1).array();
        initiator.send(initiator.command(0xc0, 512, cdb), new byte[0]);
        assertEquals(0x52100, initiator.receive().sense());
      }
      byte[] whole =
          ByteBuffer.allocate(16).put((byte) 0x88).put((byte) 0).putLong(0).putInt(-1).array();
      initiator.send(initiator.command(0xc0, 512, whole), new byte[0]);
      assertEquals(0x52100, initiator.receive().sense());
    }
  }

  @Test
  void unmapOfRangesOutsideChangesNothing() throws IOException {
    try (RawInitiator initiator = attacker()) {
      byte[] data = new byte[4096];
      Arrays.fill(data, (byte) 1);
      assertEquals(0, initiator.write(0, data, 512).scsiStatus());
      ByteBuffer list = ByteBuffer.allocate(40).putShort((short) 38).putShort((short) 32).putInt(0);
      list.putLong(0).putInt(8).putInt(0).putLong(-8).putInt(8).putInt(0);
      byte[] cdb = new byte[16];
      cdb[0] = 0x42;
      cdb[8] = 40;
      initiator.send(initiator.command(0xa0, 40, cdb), list.array());
      assertEquals(0x52100, initiator.receive().sense());
      assertArrayEquals(data, initiator.read(0, 8, 512));
    }
  }

  @Test
  void dataBeyondWhatR2tAskedForIsCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      ByteBuffer command = initiator.command(0xa0, 65536, RawInitiator.write10(0, 128));
      initiator.send(command, new byte[0]);
      Pdu r2t = initiator.receive();
      assertEquals(0x31, r2t.opcode());
      assertEquals(65536, r2t.header().getInt(44));
      int tag = command.getInt(16);
      int transferTag = r2t.header().getInt(20);
      initiator.send(initiator.dataOut(tag, transferTag, 0, 65024, true), new byte[1024]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void dataAtANegativeOffsetIsCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      ByteBuffer command = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(command, new byte[0]);
      Pdu r2t = initiator.receive();
      int transferTag = r2t.header().getInt(20);
      initiator.send(
          initiator.dataOut(command.getInt(16), transferTag, 0, -512, false), new byte[512]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void dataWithATransferTagThatIsNotOursIsCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      ByteBuffer command = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(command, new byte[0]);
      Pdu r2t = initiator.receive();
      int wrongTag = r2t.header().getInt(20) + 1;
      initiator.send(initiator.dataOut(command.getInt(16), wrongTag, 0, 0, true), new byte[4096]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void moreUnsolicitedDataThanTheFirstBurstIsCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      ByteBuffer command = initiator.command(0x20, 1 << 20, RawInitiator.write10(0, 2048));
      initiator.send(command, new byte[65536]);
      initiator.send(initiator.dataOut(command.getInt(16), -1, 0, 65536, true), new byte[512]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void aTagThatIsInUseIsCutOff() throws IOException {
    try (RawInitiator initiator = attacker()) {
      ByteBuffer command = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(command, new byte[0]);
      assertEquals(0x31, initiator.receive().opcode());
      ByteBuffer again = initiator.command(0x80, 0, new byte[16]);
      again.putInt(16, command.getInt(16));
      initiator.send(again, new byte[0]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void aJumpInCmdSnIsCutOffAndOneOutsideOfTheWindowIsIgnored() throws IOException {
    try (RawInitiator initiator = attacker()) {
      int due = initiator.cmdSn;
      initiator.cmdSn = due + 5000;
      initiator.send(initiator.command(0x80, 0, new byte[16]), new byte[0]);
      initiator.cmdSn = due - 1;
      initiator.send(initiator.command(0x80, 0, new byte[16]), new byte[0]);
      initiator.cmdSn = due;
      assertEquals(0, initiator.execute(new byte[16]).scsiStatus());
      initiator.cmdSn += 3;
      initiator.send(initiator.command(0x80, 0, new byte[16]), new byte[0]);
      assertTrue(initiator.isCutOff());
    }
  }

  @Test
  void anUnknownOpcodeAndASnackAreRejected() throws IOException {
    try (RawInitiator initiator = attacker()) {
      for (int opcode : new int[] {0x1c, 0x10}) {
        initiator.send(ByteBuffer.allocate(48).put(0, (byte) opcode), new byte[0]);
        Pdu reject = initiator.receive();
        assertEquals(0x3f, reject.opcode());
        assertEquals(48, reject.data().length);
        assertEquals(opcode, reject.data()[0]);
      }
      assertEquals(0, initiator.execute(new byte[16]).scsiStatus());
    }
  }

  @Test
  void halfOpenConnectionsBeyondTheLimitAreRefusedAndFreedAgain() throws Exception {
    List<RawInitiator> half = new ArrayList<>();
    try {
      for (int i = 0; i < 40; i++) {
        half.add(new RawInitiator(server.address()));
      }
      for (RawInitiator initiator : half) {
        assertTrue(initiator.isCutOff());
      }
      try (RawInitiator late = attacker()) {
        assertEquals(0, late.execute(new byte[16]).scsiStatus());
      }
    } finally {
      for (RawInitiator initiator : half) {
        initiator.close();
      }
    }
  }

  @Test
  void whoeverOpensManyConnectionsTakesThePlaceOfHisOwn() throws Exception {
    InetAddress elsewhere = InetAddress.getByName("127.0.0.2");
    List<RawInitiator> half = new ArrayList<>();
    try (RawInitiator node = new RawInitiator(server.address())) {
      Map<String, String> keys = new LinkedHashMap<>();
      keys.put("InitiatorName", TestServer.INITIATOR);
      keys.put("TargetName", TestServer.TARGET);
      assertEquals(0, node.loginRequest(0x04, RawInitiator.text(keys)).loginStatus());
      for (int i = 0; i < 40; i++) {
        half.add(new RawInitiator(server.address(), elsewhere));
      }
      // Connections are taken in the order in which they came: all of the above are, before this.
      try (RawInitiator late = new RawInitiator(server.address())) {
        late.isid++;
        assertEquals(0, late.login(TestServer.INITIATOR).loginStatus());
        late.ready();
      }
      assertTrue(half.getFirst().isCutOff());
      assertEquals(0, node.loginRequest(0x87, new byte[0]).loginStatus());
      node.ready();
    } finally {
      for (RawInitiator initiator : half) {
        initiator.close();
      }
    }
  }

  private RawInitiator withDigests() throws IOException {
    return RawInitiator.loggedIn(
            server, "InitialR2T=No", "HeaderDigest=CRC32C", "DataDigest=CRC32C")
        .ready();
  }

  @Test
  void aHeaderWithADigestThatDoesNotMatchIsCutOff() throws Exception {
    try (RawInitiator initiator = withDigests()) {
      // The logical block address of a write: a wrong place if nobody looked.
      ByteBuffer command = initiator.command(0xa0, 512, RawInitiator.write10(0, 1));
      initiator.sendDamaged(command, new byte[512], 37);
      assertTrue(initiator.isCutOff());
      String end = "end " + TestServer.INITIATOR + ": PROTOCOL_ERROR";
      assertEquals(end, recorder.skipTo(end));
    }
  }

  @Test
  void immediateDataWithADigestThatDoesNotMatchIsRejectedAndEndsTheSession() throws Exception {
    byte[] data = new byte[512];
    Arrays.fill(data, (byte) 0x55);
    try (RawInitiator initiator = withDigests()) {
      ByteBuffer command = initiator.command(0xa0, 512, RawInitiator.write10(0, 1));
      initiator.sendDamaged(command, data, 48 + 4 + 100);
      assertRejectedForItsData(initiator, 0x01);
    }
    assertArrayEquals(new byte[512], neighbour.read(0, 1, 512));
  }

  @Test
  void dataOutWithADigestThatDoesNotMatchIsRejectedAndEndsTheSession() throws Exception {
    byte[] data = new byte[4096];
    Arrays.fill(data, (byte) 0x55);
    try (RawInitiator initiator = withDigests()) {
      ByteBuffer command = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(command, new byte[0]);
      int transferTag = initiator.receive().header().getInt(20);
      ByteBuffer dataOut = initiator.dataOut(command.getInt(16), transferTag, 0, 0, true);
      initiator.sendDamaged(dataOut, data, 48 + 4 + 4095);
      assertRejectedForItsData(initiator, 0x05);
    }
    assertArrayEquals(new byte[4096], neighbour.read(0, 8, 512));
  }

  private void assertRejectedForItsData(RawInitiator initiator, int opcode) throws Exception {
    Pdu reject = initiator.receive();
    assertEquals(0x3f, reject.opcode());
    assertEquals(0x02, reject.header().get(2), "data digest error");
    assertEquals(opcode, reject.data()[0]);
    assertTrue(initiator.isCutOff());
    String end = "end " + TestServer.INITIATOR + ": PROTOCOL_ERROR";
    assertEquals(end, recorder.skipTo(end));
  }

  @Test
  void randomBytesAreCutOff() throws Exception {
    Random random = new Random(20261122);
    for (int i = 0; i < 50; i++) {
      boolean loggedIn = i % 2 != 0;
      try (RawInitiator initiator = loggedIn ? attacker() : new RawInitiator(server.address())) {
        byte[] noise = new byte[1 + random.nextInt(2000)];
        random.nextBytes(noise);
        initiator.sendBytes(noise);
        // What is left of a PDU will not come: the target need not wait for it.
        initiator.endOutput();
        assertTrue(initiator.isCutOff());
      }
      if (loggedIn) {
        String end = recorder.next();
        while (!end.startsWith("end ")) {
          end = recorder.next();
        }
        assertFalse(end.endsWith("FAILURE"), end);
      }
    }
  }
}
