package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a session's life promises to initiators and to the server's owner. */
class SessionTest {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private static TestServer serving(LogicalUnit unit, Recorder recorder) throws IOException {
    return serving(unit, recorder, UnaryOperator.identity());
  }

  private static TestServer serving(
      LogicalUnit unit, Recorder recorder, UnaryOperator<IscsiServerConfig> bounds)
      throws IOException {
    return TestServer.serving(
        List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
        ReservationStore.none(),
        recorder,
        bounds);
  }

  private static byte[] random(int lengthBytes) {
    byte[] data = new byte[lengthBytes];
    new Random(lengthBytes).nextBytes(data);
    return data;
  }

  @ParameterizedTest
  @ValueSource(strings = {"None,None", "CRC32C,None", "None,CRC32C", "CRC32C,CRC32C"})
  void dataIsTheSameWithEveryKindOfDigest(String digests) throws Exception {
    String[] wanted = digests.split(",", -1);
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator =
            RawInitiator.loggedIn(server, "HeaderDigest=" + wanted[0], "DataDigest=" + wanted[1])) {
      initiator.ready();
      byte[] data = random(40 * 512);
      assertEquals(0, initiator.write(3, data, 512).scsiStatus());
      assertArrayEquals(data, initiator.read(3, 40, 512));
      assertEquals(
          wanted[0].equals("CRC32C"), server.server().sessions().getFirst().headerDigest());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16})
  void aWriteLongerThanEveryBurstArrivesWhole(int concurrency) throws Exception {
    MemoryUnit unit = new MemoryUnit(16 << 20).concurrency(concurrency);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator =
            RawInitiator.loggedIn(
                server, "InitialR2T=No", "MaxBurstLength=16384", "FirstBurstLength=5000")) {
      initiator.ready();
      byte[] data = random(100 * 512);
      ByteBuffer command = initiator.command(0x20, data.length, RawInitiator.write10(7, 100));
      // 1000 bytes with the command, 4000 unasked: neither is a multiple of a block.
      initiator.send(command, Arrays.copyOf(data, 1000));
      int tag = command.getInt(16);
      initiator.send(
          initiator.dataOut(tag, -1, 0, 1000, true), Arrays.copyOfRange(data, 1000, 5000));
      Pdu answer = initiator.receive();
      while (answer.opcode() == 0x31) {
        int offset = answer.header().getInt(40);
        int length = answer.header().getInt(44);
        assertTrue(length <= 16384);
        int half = length / 2;
        int transferTag = answer.header().getInt(20);
        initiator.send(
            initiator.dataOut(tag, transferTag, 0, offset, false),
            Arrays.copyOfRange(data, offset, offset + half));
        initiator.send(
            initiator.dataOut(tag, transferTag, 1, offset + half, true),
            Arrays.copyOfRange(data, offset + half, offset + length));
        answer = initiator.receive();
      }
      assertEquals(0x21, answer.opcode());
      assertEquals(0, answer.scsiStatus());
      assertArrayEquals(data, initiator.read(7, 100, 512));
    }
  }

  @Test
  void theListenerHearsOfTheStagesOfASession() throws Exception {
    Recorder recorder = new Recorder();
    try (TestServer server = serving(new MemoryUnit(1 << 20), recorder);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      initiator.read(0, 1, 512);
      initiator.read(0, 1, 512);
      initiator.write(0, new byte[1024], 512);
      SessionInfo info = server.server().sessions().getFirst();
      assertEquals(2, info.readCommands());
      assertEquals(1024, info.readBytes());
      assertEquals(1024, info.writtenBytes());
      initiator.logout();
      String who = TestServer.INITIATOR;
      assertEquals("login " + who, recorder.next());
      assertEquals("first read " + who, recorder.next());
      assertEquals("first write " + who, recorder.next());
      assertEquals("end " + who + ": LOGOUT", recorder.next());
    }
  }

  @Test
  void aNewLoginOfTheSamePortTakesTheOldOnesPlace() throws Exception {
    Recorder recorder = new Recorder();
    try (TestServer server = serving(new MemoryUnit(1 << 20), recorder);
        RawInitiator before = RawInitiator.loggedIn(server).ready();
        RawInitiator after = RawInitiator.loggedIn(server).ready()) {
      assertTrue(before.isCutOff());
      assertEquals(0, after.execute(new byte[16]).scsiStatus());
      assertEquals(1, server.server().sessions().size());
      String reinstated = "reinstated " + TestServer.INITIATOR;
      assertEquals(reinstated, recorder.skipTo(reinstated));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void withdrawReturnsOnlyWhenNoWriteIsInFlight(int concurrency) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.holdWrites();
      initiator.send(initiator.command(0xa0, 512, RawInitiator.write10(0, 1)), new byte[512]);
      unit.awaitHeldWrite();
      assertThrows(
          TimeoutException.class,
          () -> server.server().withdraw(TestServer.TARGET, Duration.ofMillis(200)));
      // Its name is not free and nobody can log in while the write may still land.
      assertThrows(
          IllegalArgumentException.class,
          () ->
              server
                  .server()
                  .define(new TargetDefinition(TestServer.TARGET, Map.of(), Access.open())));
      try (RawInitiator late = new RawInitiator(server.address())) {
        late.isid++;
        assertEquals(0x0204, late.login(TestServer.INITIATOR).loginStatus());
      }
      CompletableFuture<Void> withdrawn =
          CompletableFuture.runAsync(() -> {
            try {
              server.server().withdraw(TestServer.TARGET, LIMIT);
            } catch (TimeoutException | InterruptedException e) {
              throw new IllegalStateException(e);
            }
          });
      assertFalse(withdrawn.isDone());
      unit.letGo();
      withdrawn.get(60, TimeUnit.SECONDS);
      assertTrue(initiator.isCutOff());
      assertTrue(server.server().targets().isEmpty());
      try (RawInitiator late = new RawInitiator(server.address())) {
        assertEquals(0x0203, late.login(TestServer.INITIATOR).loginStatus());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"FLUSH, 0x35, 0", "EXTENT, 0x9e, 0x12", "WRITE, 0x93, 0"})
  void aLunIsGoneOnlyWhenNothingOfItIsInFlight(
      FaultyUnit.Call call, String opcode, String serviceAction) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.hold(call);
      byte[] cdb = new byte[16];
      cdb[0] = Integer.decode(opcode).byteValue();
      cdb[1] = Integer.decode(serviceAction).byteValue();
      cdb[13] = 32;
      boolean writes = call == FaultyUnit.Call.WRITE;
      initiator.send(
          initiator.command(writes ? 0xa0 : 0xc0, writes ? 512 : 32, cdb),
          random(writes ? 512 : 0));
      unit.awaitHeldWrite();
      assertThrows(
          TimeoutException.class,
          () -> server.server().removeLun(TestServer.TARGET, 0, Duration.ofMillis(100)));
      unit.letGo();
      assertEquals(0, initiator.receive().scsiStatus());
    }
  }

  @Test
  void aLunThatComesAndGoesIsToldByUnitAttention() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      server.server().addLun(TestServer.TARGET, 1, new MemoryUnit(2 << 20));
      assertEquals(0x63f0e, initiator.execute(new byte[16]).sense());
      assertEquals(0, initiator.execute(new byte[16]).scsiStatus());
      ByteBuffer toOne = initiator.command(0x80, 0, new byte[16]).putLong(8, 1L << 48);
      initiator.send(toOne, new byte[0]);
      assertEquals(0x62900, initiator.receive().sense());
      server.server().removeLun(TestServer.TARGET, 1, LIMIT);
      assertEquals(0x63f0e, initiator.execute(new byte[16]).sense());
      initiator.send(initiator.command(0x80, 0, new byte[16]).putLong(8, 1L << 48), new byte[0]);
      assertEquals(0x52500, initiator.receive().sense());
    }
  }

  @Test
  void growthIsToldByUnitAttention() throws Exception {
    MemoryUnit unit = new MemoryUnit(1 << 20);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.grow(2 << 20);
      assertEquals(0x62a09, initiator.execute(new byte[16]).sense());
      initiator.read(2048, 2048, 512);
    }
  }

  @Test
  void aSilentPeerIsAskedAndCutOffWhenItDoesNotAnswer() throws Exception {
    Recorder recorder = new Recorder();
    try (TestServer server =
            serving(
                new MemoryUnit(1 << 20),
                recorder,
                config ->
                    config.withTimeouts(LIMIT, Duration.ofSeconds(1), Duration.ofSeconds(2)));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      Pdu ping = initiator.receive();
      assertEquals(0x20, ping.opcode());
      assertEquals(-1, ping.header().getInt(16));
      // An answer buys another interval; silence does not.
      ByteBuffer pong = ByteBuffer.allocate(48).put(0, (byte) 0x40).put(1, (byte) 0x80);
      pong.putInt(16, -1).putInt(20, ping.header().getInt(20)).putInt(24, initiator.cmdSn);
      initiator.send(pong, new byte[0]);
      assertEquals(0x20, initiator.receive().opcode());
      assertTrue(initiator.isCutOff());
      String end = "end " + TestServer.INITIATOR + ": TIMEOUT";
      assertEquals(end, recorder.skipTo(end));
    }
  }

  @Test
  void closingAsksForLogoutAndThenCutsOff() throws Exception {
    TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
    try (RawInitiator polite = RawInitiator.loggedIn(server).ready();
        RawInitiator deaf = new RawInitiator(server.address())) {
      deaf.isid++;
      deaf.login(TestServer.INITIATOR);
      CompletableFuture<Void> closed = closing(server, Duration.ofSeconds(2));
      Pdu message = polite.receive();
      assertEquals(0x32, message.opcode());
      assertEquals(1, message.header().get(36), "asks for logout");
      assertEquals(0x26, polite.logout().opcode());
      assertTrue(deaf.isCutOff());
      closed.get(60, TimeUnit.SECONDS);
    }
  }

  @Test
  void aLogoutEndsTheConnectionThatItNamesAndIsNoRecovery() throws Exception {
    Recorder recorder = new Recorder();
    try (TestServer server = serving(new MemoryUnit(1 << 20), recorder);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      assertEquals(1, initiator.logout(1, 7).header().get(2), "CID not found");
      assertEquals(2, initiator.logout(2, 0).header().get(2), "recovery not supported");
      assertEquals(0, initiator.execute(new byte[16]).scsiStatus());
      assertEquals(0, initiator.logout(1, 0).header().get(2));
      assertTrue(initiator.isCutOff());
      String end = "end " + TestServer.INITIATOR + ": LOGOUT";
      assertEquals(end, recorder.skipTo(end));
    }
  }

  @Test
  void aSessionThatIsSendingIsAskedToLogOutAsWell() throws Exception {
    TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
    try (RawInitiator busy = RawInitiator.loggedIn(server).ready()) {
      int reads = 64;
      for (int i = 0; i < reads; i++) {
        // 64 MiB in all, which no socket buffers take: from the first byte on the target is
        // sending.
        busy.send(busy.command(0xc0, 1 << 20, RawInitiator.read10(0, 2048)), new byte[0]);
      }
      assertEquals(0x25, busy.receive().opcode());
      CompletableFuture<Void> closed = closing(server, Duration.ofSeconds(60));
      awaitClosedPortal(server);
      int statuses = 0;
      boolean asked = false;
      while (statuses < reads || !asked) {
        Pdu pdu = busy.receive();
        statuses += pdu.opcode() == 0x25 && (pdu.flags() & 0x01) != 0 ? 1 : 0;
        asked |= pdu.opcode() == 0x32;
      }
      assertEquals(0x26, busy.logout().opcode());
      closed.get(60, TimeUnit.SECONDS);
    }
  }

  @Test
  void peersThatTakeNothingKeepTheRequestToLogOutFromNobody() throws Exception {
    TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
    List<RawInitiator> deaf = new ArrayList<>();
    try (RawInitiator polite = RawInitiator.loggedIn(server).ready()) {
      for (int peer = 1; peer <= 12; peer++) {
        RawInitiator initiator = new RawInitiator(server.address());
        deaf.add(initiator);
        initiator.isid += peer;
        initiator.login(TestServer.INITIATOR);
        initiator.ready();
        for (int i = 0; i < 16; i++) {
          // 16 MiB in all, which no socket buffers take; one PDU of it is read.
          initiator.send(
              initiator.command(0xc0, 1 << 20, RawInitiator.read10(0, 2048)), new byte[0]);
        }
        assertEquals(0x25, initiator.receive().opcode());
      }
      CompletableFuture<Void> closed = closing(server, Duration.ofMinutes(2));
      assertEquals(0x32, polite.receive().opcode());
      assertEquals(13, server.server().sessions().size(), "the others were waited for");
      assertEquals(0x26, polite.logout().opcode());
      for (RawInitiator initiator : deaf) {
        initiator.close();
      }
      closed.get(60, TimeUnit.SECONDS);
    } finally {
      for (RawInitiator initiator : deaf) {
        initiator.close();
      }
    }
  }

  private static CompletableFuture<Void> closing(TestServer server, Duration grace) {
    return CompletableFuture.runAsync(() -> {
      try {
        server.server().close(grace);
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    });
  }

  /** The portals are closed before anybody is asked to log out. */
  private static void awaitClosedPortal(TestServer server) {
    try {
      while (true) {
        new RawInitiator(server.address()).close();
      }
    } catch (IOException refused) {
      return;
    }
  }

  @Test
  void theRequestToLogOutComesAfterTheLastLoginResponse() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        ServerSocketChannel listener = ServerSocketChannel.open()) {
      listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      InetSocketAddress address = (InetSocketAddress) listener.getLocalAddress();
      try (RawInitiator initiator = new RawInitiator(address)) {
        Connection connection =
            new Connection(server.server(), listener.accept(), new Portal(address, 1));
        connection.requestLogout(7);
        Thread thread = new Thread(connection);
        thread.start();
        assertEquals(0x23, initiator.login(TestServer.INITIATOR, "HeaderDigest=CRC32C").opcode());
        Pdu message = initiator.receive();
        assertEquals(0x32, message.opcode());
        assertEquals(7, message.header().getShort(42));
        assertEquals(0x26, initiator.logout().opcode());
        thread.join();
      }
    }
  }

  @Test
  void abortTaskEndsAWriteThatWaitsForData() throws Exception {
    MemoryUnit unit = new MemoryUnit(1 << 20);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      ByteBuffer command = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(command, new byte[0]);
      Pdu r2t = initiator.receive();
      int tag = command.getInt(16);
      Pdu answer = initiator.taskManagement(1, tag);
      assertEquals(0x22, answer.opcode());
      assertEquals(0, answer.header().get(2));
      assertEquals(1, initiator.taskManagement(1, tag).header().get(2), "no such task any more");
      // The data that was under way is taken and thrown away.
      initiator.send(initiator.dataOut(tag, r2t.header().getInt(20), 0, 0, true), random(4096));
      assertArrayEquals(new byte[4096], initiator.read(0, 8, 512));
    }
  }

  @Test
  void aResetByOneSessionVoidsWhatAnotherHasBegun() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator writer = RawInitiator.loggedIn(server).ready();
        RawInitiator resetter = new RawInitiator(server.address())) {
      resetter.isid++;
      resetter.login(TestServer.INITIATOR);
      resetter.ready();
      ByteBuffer command = writer.command(0xa0, 4096, RawInitiator.write10(0, 8));
      writer.send(command, new byte[0]);
      Pdu r2t = writer.receive();
      assertEquals(0, resetter.taskManagement(5, -1).header().get(2));
      writer.send(
          writer.dataOut(command.getInt(16), r2t.header().getInt(20), 0, 0, true), random(4096));
      assertEquals(0x62903, writer.execute(new byte[16]).sense());
      assertArrayEquals(new byte[4096], writer.read(0, 8, 512));
    }
  }

  @Test
  void aThousandTargetsAreToldInPiecesThatTheInitiatorCanTake() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20))) {
      for (int i = 0; i < 1000; i++) {
        server
            .server()
            .define(
                new TargetDefinition(
                    "iqn.2026-11.io.malleable:many-" + i, Map.of(), Access.open()));
      }
      try (RawInitiator initiator = new RawInitiator(server.address())) {
        byte[] keys =
            RawInitiator.text(
                Map.of("InitiatorName", TestServer.INITIATOR, "SessionType", "Discovery"));
        assertEquals(0, initiator.loginRequest(0x87, keys).loginStatus());
        StringBuilder all = new StringBuilder();
        ByteBuffer request = ByteBuffer.allocate(48).put(0, (byte) 0x04).put(1, (byte) 0x80);
        request.putInt(16, 9).putInt(20, -1).putInt(24, initiator.cmdSn++);
        initiator.send(request, RawInitiator.text(Map.of("SendTargets", "All")));
        Pdu answer = initiator.receive();
        while ((answer.flags() & 0x80) == 0) {
          assertTrue(answer.data().length <= 8192);
          all.append(new String(answer.data(), StandardCharsets.UTF_8));
          request.putInt(20, answer.header().getInt(20)).putInt(24, initiator.cmdSn++);
          initiator.send(request, new byte[0]);
          answer = initiator.receive();
        }
        all.append(new String(answer.data(), StandardCharsets.UTF_8));
        for (int i = 0; i < 1000; i++) {
          assertTrue(all.indexOf("TargetName=iqn.2026-11.io.malleable:many-" + i + "\0") >= 0);
        }
      }
    }
  }

  private static Map<String, String> text(RawInitiator initiator, int flags, int tag, String keys)
      throws IOException {
    ByteBuffer request = ByteBuffer.allocate(48).put(0, (byte) 0x04).put(1, (byte) flags);
    request.putInt(16, 9).putInt(20, tag).putInt(24, initiator.cmdSn++);
    initiator.send(request, keys.getBytes(StandardCharsets.UTF_8));
    Pdu answer = initiator.receive();
    assertEquals(0x24, answer.opcode());
    return TextKeys.parse(answer.data());
  }

  @Test
  void inTheFullFeaturePhaseEachKeyIsAnsweredByItsUse() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      Map<String, String> answers =
          text(
              initiator,
              0x80,
              -1,
              "InitiatorAlias=me\0MaxRecvDataSegmentLength=1024\0MaxBurstLength=512\0X-a=b\0");
      assertEquals(Map.of("MaxBurstLength", "Reject", "X-a", "NotUnderstood"), answers);
      initiator.send(initiator.command(0xc0, 4096, RawInitiator.read10(0, 8)), new byte[0]);
      for (int offset = 0; offset < 4096; offset += 1024) {
        Pdu data = initiator.receive();
        assertEquals(1024, data.data().length, "the segment that was declared now");
        assertEquals(offset, data.header().getInt(40));
      }
    }
  }

  @Test
  void aTextRequestThatWasGivenUpLeavesNothingBehind() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      assertEquals(Map.of(), text(initiator, 0x40, -1, "X-aband"));
      assertEquals(Map.of("X-new", "NotUnderstood"), text(initiator, 0x80, -1, "X-new=1\0"));
    }
  }

  @Test
  void reservationsThatAskForItOutliveTheServer(@TempDir Path directory) throws Exception {
    MemoryUnit unit = new MemoryUnit(1 << 20);
    DirectoryReservationStore store = new DirectoryReservationStore(directory);
    List<TargetDefinition> targets =
        List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open()));
    try (TestServer server =
            TestServer.serving(targets, store, new TargetListener() {}, UnaryOperator.identity());
        RawInitiator holder = RawInitiator.loggedIn(server).ready()) {
      assertEquals(0, reserveOut(holder, 0, 0, 0, 0x4242, 1).scsiStatus());
      assertEquals(0, reserveOut(holder, 1, 1, 0x4242, 0, 0).scsiStatus());
    }
    try (TestServer server =
            TestServer.serving(targets, store, new TargetListener() {}, UnaryOperator.identity());
        RawInitiator other = new RawInitiator(server.address())) {
      other.isid++;
      other.login(TestServer.INITIATOR);
      other.ready();
      assertEquals(0x18, other.write(0, new byte[512], 512).scsiStatus(), "conflict");
      other.read(0, 1, 512);
      try (RawInitiator holder = RawInitiator.loggedIn(server).ready()) {
        assertEquals(0, holder.write(0, new byte[512], 512).scsiStatus());
      }
    }
  }

  static Pdu reserveOut(
      RawInitiator initiator, int action, int type, long key, long newKey, int persist)
      throws IOException {
    byte[] cdb = new byte[16];
    cdb[0] = 0x5f;
    cdb[1] = (byte) action;
    cdb[2] = (byte) type;
    cdb[8] = 24;
    ByteBuffer list = ByteBuffer.allocate(24).putLong(key).putLong(newKey).put(20, (byte) persist);
    byte[] bytes = new byte[24];
    list.get(0, bytes);
    initiator.send(initiator.command(0xa0, 24, cdb), bytes);
    return initiator.receive();
  }
}
