package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What is aborted never reaches the medium once the answer says so, and what is not aborted gets
 * its status (SAM-5 7, RFC 7143 11.5).
 */
class TaskManagementTest {
  private static final int ABORT_TASK = 1;
  private static final int ABORT_TASK_SET = 2;
  private static final int CLEAR_TASK_SET = 4;
  private static final int LOGICAL_UNIT_RESET = 5;
  private static final int TARGET_WARM_RESET = 6;
  private static final int TARGET_COLD_RESET = 7;
  private static final int COMPLETE = 0;
  private static final int REJECTED = 255;

  private static final byte[] TEST_UNIT_READY = new byte[16];

  private final Recorder recorder = new Recorder();
  private final FaultyUnit other = new FaultyUnit(new MemoryUnit(1 << 20));
  private FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
  private TestServer server;

  @BeforeEach
  void unitsThatAreServedByTheConnectionsThread() throws IOException {
    server = serve();
  }

  private TestServer serve() throws IOException {
    TargetDefinition target =
        new TargetDefinition(TestServer.TARGET, Map.of(0, unit, 1, other), Access.open());
    Duration ample = Duration.ofSeconds(60);
    return TestServer.serving(
        List.of(target),
        ReservationStore.none(),
        recorder,
        config -> config.withTimeouts(ample, ample, Duration.ofSeconds(1)));
  }

  private void serveConcurrently(int commands) throws IOException {
    server.close();
    unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(commands));
    server = serve();
  }

  @AfterEach
  void nothingIsHeld() throws IOException {
    unit.letGo();
    other.letGo();
    server.close();
  }

  private RawInitiator session(int number) throws IOException {
    RawInitiator initiator = new RawInitiator(server.address());
    initiator.isid += number;
    initiator.login(TestServer.INITIATOR);
    return initiator.ready();
  }

  /** A command to LUN 1, whose unit attention of the login is taken as well. */
  private static Pdu toSecond(RawInitiator initiator) throws IOException {
    initiator.send(initiator.command(0x80, 0, TEST_UNIT_READY).putLong(8, 1L << 48), new byte[0]);
    return initiator.receive();
  }

  /** A write that waits for its data. */
  private static ByteBuffer beginWrite(RawInitiator initiator, int lba) throws IOException {
    ByteBuffer command = initiator.command(0xa0, 4096, RawInitiator.write10(lba, 8));
    initiator.send(command, new byte[0]);
    return command.putInt(20, initiator.receive().header().getInt(20));
  }

  /** Sends the data that a write waits for. */
  private static void endWrite(RawInitiator initiator, ByteBuffer begun) throws IOException {
    initiator.send(initiator.dataOut(begun.getInt(16), begun.getInt(20), 0, 0, true), ones(4096));
  }

  private static byte[] ones(int lengthBytes) {
    byte[] data = new byte[lengthBytes];
    Arrays.fill(data, (byte) 1);
    return data;
  }

  /** A write that the store has begun and does not finish. */
  private void holdWrite(RawInitiator initiator) throws Exception {
    unit.holdWrites();
    initiator.send(initiator.command(0xa0, 512, RawInitiator.write10(0, 1)), ones(512));
    unit.awaitHeldWrite();
  }

  private static int manage(RawInitiator initiator, int function) throws IOException {
    Pdu answer = initiator.taskManagement(function, -1);
    assertEquals(0x22, answer.opcode());
    return answer.header().get(2) & 0xff;
  }

  @Test
  void abortTaskSetEndsTheOwnTasksOfThatUnitOnly() throws Exception {
    try (RawInitiator aborter = session(0);
        RawInitiator neighbour = session(1)) {
      assertEquals(0x62900, toSecond(aborter).sense());
      ByteBuffer lost = beginWrite(aborter, 0);
      ByteBuffer elsewhere = aborter.command(0xa0, 4096, RawInitiator.write10(16, 8));
      aborter.send(elsewhere.putLong(8, 1L << 48), new byte[0]);
      elsewhere.putInt(20, aborter.receive().header().getInt(20));
      ByteBuffer kept = beginWrite(neighbour, 32);
      assertEquals(COMPLETE, manage(aborter, ABORT_TASK_SET));
      endWrite(aborter, lost);
      endWrite(aborter, elsewhere);
      assertEquals(elsewhere.getInt(16), aborter.receive().header().getInt(16));
      endWrite(neighbour, kept);
      assertEquals(0, neighbour.receive().scsiStatus(), "neither told nor harmed");
      assertArrayEquals(new byte[4096], aborter.read(0, 8, 512));
      assertArrayEquals(ones(4096), aborter.read(32, 8, 512));
    }
  }

  @Test
  void clearTaskSetEndsTheTasksOfAllAndTellsThoseWhoLostSome() throws Exception {
    try (RawInitiator clearer = session(0);
        RawInitiator victim = session(1);
        RawInitiator idle = session(2)) {
      ByteBuffer own = beginWrite(clearer, 0);
      ByteBuffer lost = beginWrite(victim, 16);
      assertEquals(COMPLETE, manage(clearer, CLEAR_TASK_SET));
      endWrite(victim, lost);
      endWrite(clearer, own);
      assertEquals(0x62f00, victim.execute(TEST_UNIT_READY).sense(), "once, and no status before");
      assertEquals(0, victim.execute(TEST_UNIT_READY).scsiStatus());
      assertEquals(0, clearer.execute(TEST_UNIT_READY).scsiStatus());
      assertEquals(0, idle.execute(TEST_UNIT_READY).scsiStatus());
      assertArrayEquals(new byte[32 * 512], idle.read(0, 32, 512));
    }
  }

  @Test
  void clearTaskSetEndsWhatWaitsForTheStoreAsWell() throws Exception {
    serveConcurrently(2);
    try (RawInitiator clearer = session(0);
        RawInitiator victim = session(1)) {
      holdWrite(victim);
      for (int lba = 1; lba < 6; lba++) {
        victim.send(victim.command(0xa0, 512, RawInitiator.write10(lba, 1)), ones(512));
      }
      // Answered by the connection's thread: all of them have been given to workers.
      assertEquals(0, victim.execute(TEST_UNIT_READY).scsiStatus());
      ByteBuffer clear = ByteBuffer.allocate(48).put(0, (byte) 0x42);
      clear.put(1, (byte) (0x80 | CLEAR_TASK_SET)).putInt(16, 99).putInt(24, clearer.cmdSn);
      clearer.send(clear, new byte[0]);
      awaitCall(clearer, "tryEnterExclusive");
      unit.letGo();
      assertEquals(COMPLETE, clearer.receive().header().get(2));
      ByteBuffer ready = victim.command(0x80, 0, TEST_UNIT_READY);
      victim.send(ready, new byte[0]);
      Pdu answer = victim.receive();
      while (answer.header().getInt(16) != ready.getInt(16)) {
        assertEquals(0, answer.scsiStatus(), "a write that ended before");
        answer = victim.receive();
      }
      assertEquals(0x62f00, answer.sense());
      assertEquals(0, victim.execute(TEST_UNIT_READY).scsiStatus(), "told once");
      assertArrayEquals(new byte[512], clearer.read(5, 1, 512));
    }
  }

  @Test
  void aResetWaitsForWhatACopyDoesToAnotherUnit() throws Exception {
    try (RawInitiator copier = session(0);
        RawInitiator resetter = session(1)) {
      other.holdWrites();
      byte[] list = copyList();
      byte[] cdb = new byte[16];
      cdb[0] = (byte) 0x83;
      cdb[13] = (byte) list.length;
      copier.send(copier.command(0xa0, list.length, cdb), list);
      other.awaitHeldWrite();
      assertEquals(REJECTED, manage(resetter, LOGICAL_UNIT_RESET));
      other.letGo();
      assertEquals(0, copier.receive().scsiStatus());
      assertEquals(COMPLETE, manage(resetter, LOGICAL_UNIT_RESET));
    }
  }

  /** Copies the first block of the unit to that of the other (SPC-4 6.4). */
  private byte[] copyList() {
    ByteBuffer list = ByteBuffer.allocate(108).putShort(2, (short) 64).putInt(8, 28);
    int at = 16;
    for (FaultyUnit each : List.of(unit, other)) {
      byte[] naa = InquiryData.naa(each.identity().id());
      list.put(at, (byte) 0xe4).put(at + 4, (byte) 1).put(at + 5, (byte) 3);
      list.put(at + 7, (byte) naa.length).put(at + 8, naa);
      at += 32;
    }
    list.put(at, (byte) 2).putShort(at + 2, (short) 24).putShort(at + 6, (short) 1);
    return list.putShort(at + 10, (short) 1).array();
  }

  @ParameterizedTest
  @ValueSource(ints = {TARGET_WARM_RESET, LOGICAL_UNIT_RESET})
  void aResetReleasesWhatWasReservedAndTellsEverybody(int function) throws Exception {
    try (RawInitiator resetter = session(0);
        RawInitiator holder = session(1)) {
      byte[] reserve = {0x16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
      assertEquals(0, holder.execute(reserve).scsiStatus());
      assertEquals(0x18, resetter.write(0, ones(512), 512).scsiStatus());
      ByteBuffer lost = beginWrite(holder, 16);
      assertEquals(0x62900, toSecond(holder).sense());
      assertEquals(COMPLETE, manage(resetter, function));
      endWrite(holder, lost);
      assertEquals(0x62903, holder.execute(TEST_UNIT_READY).sense());
      assertEquals(0x62903, resetter.execute(TEST_UNIT_READY).sense());
      assertEquals(0, resetter.write(0, ones(512), 512).scsiStatus());
      assertArrayEquals(new byte[512], resetter.read(16, 1, 512));
      boolean whole = function == TARGET_WARM_RESET;
      assertEquals(whole ? 2 : 0, toSecond(holder).scsiStatus(), "the other unit of the target");
    }
  }

  @Test
  void aColdResetEndsEverySessionOfTheTarget() throws Exception {
    try (RawInitiator resetter = session(0);
        RawInitiator victim = session(1)) {
      beginWrite(victim, 16);
      assertEquals(COMPLETE, manage(resetter, TARGET_COLD_RESET));
      assertTrue(resetter.isCutOff());
      assertTrue(victim.isCutOff());
      String end = "end " + TestServer.INITIATOR + ": RESET";
      assertEquals(end, recorder.skipTo(end));
      assertEquals(end, recorder.skipTo(end));
      try (RawInitiator after = session(1)) {
        assertArrayEquals(new byte[4096], after.read(16, 8, 512));
      }
    }
  }

  @Test
  void theTagOfATaskThatAnotherSessionEndedIsFreeAgain() throws Exception {
    try (RawInitiator victim = session(0);
        RawInitiator resetter = session(1)) {
      ByteBuffer lost = beginWrite(victim, 0);
      assertEquals(COMPLETE, manage(resetter, LOGICAL_UNIT_RESET));
      assertEquals(0x62903, victim.execute(TEST_UNIT_READY).sense());
      ByteBuffer again = victim.command(0x80, 0, TEST_UNIT_READY);
      victim.send(again.putInt(16, lost.getInt(16)), new byte[0]);
      Pdu answer = victim.receive();
      assertEquals(0x21, answer.opcode(), "no Reject");
      assertEquals(0, answer.scsiStatus());
    }
  }

  @Test
  void aWriteThatWaitsBehindAResetNeverLands() throws Exception {
    try (RawInitiator busy = session(0);
        RawInitiator resetter = session(1);
        RawInitiator late = session(2)) {
      holdWrite(busy);
      ByteBuffer reset = ByteBuffer.allocate(48).put(0, (byte) 0x42);
      reset.put(1, (byte) (0x80 | LOGICAL_UNIT_RESET)).putInt(16, 99).putInt(24, resetter.cmdSn);
      resetter.send(reset, new byte[0]);
      awaitCall(resetter, "tryEnterExclusive");
      late.send(late.command(0xa0, 512, RawInitiator.write10(8, 1)), ones(512));
      awaitCall(late, "enterShared");
      unit.letGo();
      assertEquals(COMPLETE, resetter.receive().header().get(2));
      assertEquals(0x62903, late.execute(TEST_UNIT_READY).sense(), "the write has no status");
      assertArrayEquals(new byte[512], late.read(8, 1, 512));
    }
  }

  /** Returns when the thread of a session waits within a method. */
  static void awaitCall(RawInitiator initiator, String method) {
    String name = "iscsi /127.0.0.1:" + initiator.localPort();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    boolean waits = false;
    while (!waits) {
      assertTrue(System.nanoTime() - deadline < 0, "never waits in " + method);
      waits =
          Arrays.stream(ManagementFactory.getThreadMXBean().dumpAllThreads(false, false))
              .filter(info -> info.getThreadName().equals(name))
              .filter(info -> info.getThreadState() != Thread.State.RUNNABLE)
              .flatMap(info -> Arrays.stream(info.getStackTrace()))
              .anyMatch(frame -> frame.getMethodName().equals(method));
    }
  }

  @Test
  void aTaskThatTheStoreDoesNotFinishEndsTheSessionThatAbortsIt() throws Exception {
    serveConcurrently(8);
    try (RawInitiator initiator = session(0)) {
      holdWrite(initiator);
      ByteBuffer abort = ByteBuffer.allocate(48).put(0, (byte) 0x42);
      abort.put(1, (byte) (0x80 | ABORT_TASK)).putInt(16, 99).putInt(20, initiator.nextTag - 1);
      initiator.send(abort.putInt(24, initiator.cmdSn), new byte[0]);
      assertTrue(initiator.endsWithoutAWord());
      unit.letGo();
      String end = "end " + TestServer.INITIATOR + ": FAILURE";
      assertEquals(end, recorder.skipTo(end));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {LOGICAL_UNIT_RESET, CLEAR_TASK_SET})
  void aFunctionThatIsRejectedHasAbortedNothing(int function) throws Exception {
    serveConcurrently(8);
    try (RawInitiator busy = session(0);
        RawInitiator requester = session(1)) {
      holdWrite(busy);
      ByteBuffer own = beginWrite(requester, 16);
      assertEquals(REJECTED, manage(requester, function));
      unit.letGo();
      assertEquals(0, busy.receive().scsiStatus());
      endWrite(requester, own);
      assertEquals(0, requester.receive().scsiStatus());
      assertArrayEquals(ones(4096), requester.read(16, 8, 512));
    }
  }

  @Test
  void aResetIsRejectedWhileAnAtomicWriteIsUnderWay() throws Exception {
    try (RawInitiator busy = session(0);
        RawInitiator requester = session(1)) {
      unit.hold(FaultyUnit.Call.ATOMIC_WRITE);
      byte[] atomic = {(byte) 0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
      busy.send(busy.command(0xa0, 512, atomic), ones(512));
      unit.awaitHeldWrite();
      assertEquals(REJECTED, manage(requester, LOGICAL_UNIT_RESET));
      unit.letGo();
      assertEquals(0, busy.receive().scsiStatus());
      assertEquals(COMPLETE, manage(requester, LOGICAL_UNIT_RESET));
    }
  }
}
