package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A flush that does not end holds nothing up but its own answer, and who takes the unit away. */
class SlowFlushTest {
  private static final int NOP_IN = 0x20;
  private static final int DATA_IN = 0x25;
  private static final int ABORT_TASK = 1;
  private static final int ABORT_TASK_SET = 2;
  private static final int CLEAR_TASK_SET = 4;
  private static final int LOGICAL_UNIT_RESET = 5;
  private static final int COMPLETE = 0;
  private static final int ORDERED = 2;

  private static final byte[] SYNCHRONIZE_CACHE = cdb("35");
  private static final byte[] TEST_UNIT_READY = new byte[16];

  private final Recorder recorder = new Recorder();
  private FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
  private TestServer server;

  private static byte[] cdb(String hex) {
    return Arrays.copyOf(HexFormat.of().parseHex(hex), 16);
  }

  @BeforeEach
  void aUnitThatIsServedByTheConnectionsThread() throws IOException {
    server = serve();
  }

  private TestServer serve() throws IOException {
    unit.hold(FaultyUnit.Call.FLUSH);
    TargetDefinition target =
        new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open());
    return TestServer.serving(
        List.of(target), ReservationStore.none(), recorder, UnaryOperator.identity());
  }

  private void serve(FaultyUnit other) throws IOException {
    unit.letGo();
    server.close();
    unit = other;
    server = serve();
  }

  private void serve(int concurrency) throws IOException {
    serve(new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency)));
  }

  @AfterEach
  void nothingIsHeld() throws IOException {
    unit.letGo();
    server.close();
  }

  private RawInitiator session(int number) throws IOException {
    RawInitiator initiator = new RawInitiator(server.address());
    initiator.isid += number;
    initiator.login(TestServer.INITIATOR);
    return initiator.ready();
  }

  /** A SYNCHRONIZE CACHE that the store has begun and does not finish. */
  private ByteBuffer holdFlush(RawInitiator initiator, int attribute) throws Exception {
    ByteBuffer command = initiator.command(0x80 | attribute, 0, SYNCHRONIZE_CACHE);
    initiator.send(command, new byte[0]);
    unit.awaitHeldFlush();
    return command;
  }

  private static void answered(RawInitiator initiator, ByteBuffer command) throws IOException {
    Pdu answer = initiator.receive();
    assertEquals(command.getInt(16), answer.header().getInt(16));
    assertEquals(0, answer.scsiStatus());
  }

  private static void assertPingAnswered(RawInitiator initiator) throws IOException {
    ByteBuffer nop = ByteBuffer.allocate(48).put(0, (byte) 0x40).put(1, (byte) 0x80);
    nop.putInt(16, initiator.nextTag++).putInt(20, -1).putInt(24, initiator.cmdSn);
    initiator.send(nop, new byte[0]);
    Pdu answer = initiator.receive();
    assertEquals(NOP_IN, answer.opcode());
    assertEquals(nop.getInt(16), answer.header().getInt(16));
  }

  /** Compares the first block with zeroes and replaces it with zeroes. */
  private static Pdu compareAndWrite(RawInitiator initiator) throws IOException {
    byte[] compareAndWrite = cdb("89000000000000000000000000010000");
    initiator.send(initiator.command(0xa0, 1024, compareAndWrite), new byte[1024]);
    return initiator.receive();
  }

  private static int manage(RawInitiator initiator, int function, int tag) throws IOException {
    Pdu answer = initiator.taskManagement(function, tag);
    assertEquals(0x22, answer.opcode());
    return answer.header().get(2) & 0xff;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void pingsAndCommandsOfEverySessionAreAnsweredMeanwhile(int concurrency) throws Exception {
    serve(concurrency);
    try (RawInitiator flushing = session(0);
        RawInitiator other = session(1)) {
      ByteBuffer flush = holdFlush(flushing, 0);
      for (RawInitiator initiator : List.of(flushing, other)) {
        assertPingAnswered(initiator);
        assertArrayEquals(new byte[4096], initiator.read(0, 8, 512));
        assertEquals(0, compareAndWrite(initiator).scsiStatus());
        assertEquals(0, initiator.write(64, new byte[4096], 512).scsiStatus());
        assertEquals(0, initiator.execute(TEST_UNIT_READY).scsiStatus());
      }
      unit.letGo();
      answered(flushing, flush);
      answered(flushing, holdFlush(flushing, 0));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "2a080000000000000100", // WRITE(10), FUA
        "aa0800000000000000010000", // WRITE(12), FUA
        "8a080000000000000000000000010000", // WRITE(16), FUA
        "8b080000000000000000000000010000", // ORWRITE, FUA
        "2e000000000000000100", // WRITE AND VERIFY(10)
        "8e000000000000000000000000010000" // WRITE AND VERIFY(16)
      })
  void aWriteThatMustBeDurableWaitsAloneForItsFlush(String command) throws Exception {
    byte[] ones = new byte[512];
    Arrays.fill(ones, (byte) 1);
    try (RawInitiator initiator = session(0)) {
      ByteBuffer write = initiator.command(0xa0, 512, cdb(command));
      initiator.send(write, ones);
      unit.awaitHeldFlush();
      assertPingAnswered(initiator);
      assertArrayEquals(ones, initiator.read(0, 1, 512), "it has been written");
      unit.letGo();
      answered(initiator, write);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void aFlushThatIsAbortedIsNotWaitedForAndNotAnswered(int concurrency) throws Exception {
    serve(concurrency);
    try (RawInitiator initiator = session(0)) {
      ByteBuffer flush = holdFlush(initiator, 0);
      assertEquals(COMPLETE, manage(initiator, ABORT_TASK, flush.getInt(16)));
      ByteBuffer again = initiator.command(0x80, 0, TEST_UNIT_READY);
      initiator.send(again.putInt(16, flush.getInt(16)), new byte[0]);
      answered(initiator, again);
      ByteBuffer second = initiator.command(0x80, 0, SYNCHRONIZE_CACHE);
      initiator.send(second, new byte[0]);
      assertPingAnswered(initiator);
      unit.letGo();
      answered(initiator, second);
      assertPingAnswered(initiator);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET})
  void theTaskSetIsClearedWithoutWaitingForAFlush(int function) throws Exception {
    try (RawInitiator initiator = session(0);
        RawInitiator other = session(1)) {
      holdFlush(initiator, 0);
      assertEquals(COMPLETE, manage(initiator, function, -1));
      assertArrayEquals(new byte[512], afterReset(other).read(0, 1, 512));
      unit.letGo();
      assertArrayEquals(new byte[512], afterReset(initiator).read(0, 1, 512));
    }
  }

  /** Takes the unit attention of a reset, if there is one. */
  private static RawInitiator afterReset(RawInitiator initiator) throws IOException {
    Pdu answer = initiator.execute(TEST_UNIT_READY);
    assertTrue(answer.scsiStatus() == 0 || answer.sense() == 0x62903);
    return initiator;
  }

  @Test
  void aResetByAnotherSessionMakesAFlushVoidAndItsTagFree() throws Exception {
    try (RawInitiator victim = session(0);
        RawInitiator resetter = session(1)) {
      ByteBuffer flush = holdFlush(victim, 0);
      assertEquals(COMPLETE, manage(resetter, LOGICAL_UNIT_RESET, -1));
      assertEquals(0x62903, victim.execute(TEST_UNIT_READY).sense());
      ByteBuffer again = victim.command(0x80, 0, TEST_UNIT_READY);
      victim.send(again.putInt(16, flush.getInt(16)), new byte[0]);
      answered(victim, again);
      unit.letGo();
      assertPingAnswered(victim);
    }
  }

  @Test
  void anotherLoginOfTheSamePortDoesNotWaitForAFlush() throws Exception {
    try (RawInitiator first = session(0)) {
      holdFlush(first, 0);
      try (RawInitiator second = session(0)) {
        String reinstated = "reinstated " + TestServer.INITIATOR;
        assertEquals(reinstated, recorder.skipTo(reinstated));
        assertTrue(first.endsWithoutAWord());
        assertEquals(0, second.write(0, new byte[512], 512).scsiStatus());
        ByteBuffer flush = second.command(0x80, 0, SYNCHRONIZE_CACHE);
        second.send(flush, new byte[0]);
        assertPingAnswered(second);
        unit.letGo();
        answered(second, flush);
        assertEquals(2, unit.flushes(), "the first did not cover what was written after it");
      }
    }
  }

  @Test
  void aLogoutIsAnsweredMeanwhile() throws Exception {
    try (RawInitiator initiator = session(0)) {
      holdFlush(initiator, 0);
      Pdu answer = initiator.logout();
      assertEquals(0x26, answer.opcode());
      assertEquals(0, answer.header().get(2));
      assertTrue(initiator.endsWithoutAWord());
    }
  }

  @Test
  void aTargetIsWithdrawnOnlyWhenNoFlushIsInFlight() throws Exception {
    try (RawInitiator initiator = session(0)) {
      holdFlush(initiator, 0);
      assertThrows(
          TimeoutException.class,
          () -> server.server().withdraw(TestServer.TARGET, Duration.ofMillis(300)));
      unit.letGo();
      server.server().withdraw(TestServer.TARGET, Duration.ofSeconds(60));
      assertEquals(List.of(), server.server().targets());
    }
  }

  @Test
  void aUnitThatIsTakenAwayRefusesWhatWaitsForItsNextFlush() throws Exception {
    try (RawInitiator initiator = session(0)) {
      ByteBuffer first = holdFlush(initiator, 0);
      ByteBuffer second = initiator.command(0x80, 0, SYNCHRONIZE_CACHE);
      initiator.send(second, new byte[0]);
      assertPingAnswered(initiator);
      assertThrows(
          TimeoutException.class,
          () -> server.server().removeLun(TestServer.TARGET, 0, Duration.ofMillis(300)));
      Pdu refused = initiator.receive();
      assertEquals(second.getInt(16), refused.header().getInt(16));
      assertEquals(0x52500, refused.sense());
      unit.letGo();
      answered(initiator, first);
      assertEquals(1, unit.flushes());
    }
  }

  @Test
  void writesThatComeDuringAFlushShareTheNext() throws Exception {
    serve(new FaultyUnit(new MemoryUnit(1 << 20)).withoutWriteCache());
    try (RawInitiator initiator = session(0)) {
      Set<Integer> tags = new HashSet<>();
      for (int i = 0; i < 20; i++) {
        ByteBuffer write = initiator.command(0xa0, 512, RawInitiator.write10(i, 1));
        initiator.send(write, new byte[512]);
        tags.add(write.getInt(16));
        if (i == 0) {
          unit.awaitHeldFlush();
        }
      }
      // Once this has been read, the connection's thread has seen all of them.
      assertEquals(DATA_IN, readOne(initiator).opcode());
      unit.letGo();
      while (!tags.isEmpty()) {
        Pdu answer = initiator.receive();
        assertEquals(0, answer.scsiStatus());
        assertTrue(tags.remove(answer.header().getInt(16)));
      }
      assertEquals(2, unit.flushes());
    }
  }

  private static Pdu readOne(RawInitiator initiator) throws IOException {
    initiator.send(initiator.command(0xc0, 512, RawInitiator.read10(100, 1)), new byte[0]);
    return initiator.receive();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void anOrderedFlushHoldsLaterCommandsBackAndNoPing(int concurrency) throws Exception {
    serve(concurrency);
    try (RawInitiator initiator = session(0)) {
      ByteBuffer flush = holdFlush(initiator, ORDERED);
      ByteBuffer read = initiator.command(0xc0, 512, RawInitiator.read10(0, 1));
      initiator.send(read, new byte[0]);
      ByteBuffer write = initiator.command(0xa0, 512, RawInitiator.write10(0, 1));
      initiator.send(write, new byte[512]);
      assertPingAnswered(initiator);
      unit.letGo();
      answered(initiator, flush);
      Set<Integer> later = new HashSet<>(List.of(read.getInt(16), write.getInt(16)));
      for (int i = 0; i < 2; i++) {
        Pdu answer = initiator.receive();
        assertEquals(0, answer.scsiStatus());
        assertTrue(later.remove(answer.header().getInt(16)));
      }
    }
  }

  @Test
  void anOrderedCommandWaitsForAFlushAndNoPingDoes() throws Exception {
    try (RawInitiator initiator = session(0)) {
      ByteBuffer flush = holdFlush(initiator, 0);
      ByteBuffer ordered = initiator.command(0x80 | ORDERED, 0, TEST_UNIT_READY);
      initiator.send(ordered, new byte[0]);
      assertPingAnswered(initiator);
      unit.letGo();
      answered(initiator, flush);
      answered(initiator, ordered);
      assertArrayEquals(new byte[512], initiator.read(0, 1, 512));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void anAtomicWriteHoldsUpOnlyWhoWantsItsBlocks(int concurrency) throws Exception {
    serve(concurrency);
    unit.hold(FaultyUnit.Call.ATOMIC_WRITE);
    byte[] ones = new byte[4096];
    Arrays.fill(ones, (byte) 1);
    try (RawInitiator writer = session(0);
        RawInitiator other = session(1);
        RawInitiator alone = session(2)) {
      ByteBuffer atomic = writer.command(0xa0, 4096, cdb("9c000000000000000008000000080000"));
      writer.send(atomic, ones);
      unit.awaitHeldFlush();
      ByteBuffer compare = alone.command(0xa0, 1024, cdb("89000000000000000008000000010000"));
      alone.send(compare, new byte[1024]);
      if (concurrency == 1) {
        TaskManagementTest.awaitCall(alone, "enterExclusive");
      }
      for (RawInitiator initiator : List.of(writer, other)) {
        assertPingAnswered(initiator);
        assertArrayEquals(new byte[4096], initiator.read(0, 8, 512));
        assertEquals(0, compareAndWrite(initiator).scsiStatus());
        assertEquals(0, initiator.write(16, new byte[4096], 512).scsiStatus());
      }
      ByteBuffer read = other.command(0xc0, 512, RawInitiator.read10(8, 1));
      other.send(read, new byte[0]);
      if (concurrency == 1) {
        TaskManagementTest.awaitCall(other, "enterShared");
      }
      unit.letGo();
      answered(writer, atomic);
      Pdu data = other.receive();
      assertEquals(read.getInt(16), data.header().getInt(16));
      assertArrayEquals(Arrays.copyOf(ones, 512), data.data());
      assertEquals(0xe1d00, alone.receive().sense(), "compared with what was written");
    }
  }
}
