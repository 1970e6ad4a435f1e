package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * An ordered task begins when all before it have ended, and nothing that came after it begins
 * before its end (SAM-5 8.6); whether they wait for data or for the store.
 */
class TaskOrderTest {
  private static final int ORDERED = 2;
  private static final int HEAD_OF_QUEUE = 3;
  private static final int R2T = 0x31;
  private static final int TASK_SET_FULL = 0x28;

  private static byte[] filled(int value, int lengthBytes) {
    byte[] data = new byte[lengthBytes];
    Arrays.fill(data, (byte) value);
    return data;
  }

  private static TestServer serving(int concurrency) throws IOException {
    return TestServer.serving(new MemoryUnit(1 << 20).concurrency(concurrency));
  }

  /** A write of eight blocks at address 0 that brings no data yet. */
  private static ByteBuffer write(RawInitiator initiator, int attribute) throws IOException {
    ByteBuffer command = initiator.command(0xa0 | attribute, 4096, RawInitiator.write10(0, 8));
    initiator.send(command, new byte[0]);
    return command;
  }

  /** Gives a burst that was asked for. */
  private static void answer(RawInitiator initiator, Pdu readyToTransfer, int value)
      throws IOException {
    assertEquals(R2T, readyToTransfer.opcode());
    ByteBuffer header = readyToTransfer.header();
    ByteBuffer data =
        initiator.dataOut(header.getInt(16), header.getInt(20), 0, header.getInt(40), true);
    initiator.send(data, filled(value, header.getInt(44)));
  }

  private static ByteBuffer read(RawInitiator initiator, int attribute) throws IOException {
    ByteBuffer command = initiator.command(0xc0 | attribute, 2048, RawInitiator.read10(0, 4));
    initiator.send(command, new byte[0]);
    return command;
  }

  private static Pdu ended(RawInitiator initiator, ByteBuffer command) throws IOException {
    Pdu answer = initiator.receive();
    assertEquals(command.getInt(16), answer.header().getInt(16));
    assertEquals(0, answer.scsiStatus());
    return answer;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void anOrderedTaskDoesNotOvertakeAWriteThatWaitsForData(int concurrency) throws Exception {
    try (TestServer server = serving(concurrency);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      ByteBuffer first = write(initiator, 0);
      Pdu r2t = initiator.receive();
      ByteBuffer ordered = read(initiator, ORDERED);
      ByteBuffer after = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(after, filled(2, 4096));
      answer(initiator, r2t, 1);
      ended(initiator, first);
      assertArrayEquals(filled(1, 2048), ended(initiator, ordered).data());
      ended(initiator, after);
      assertArrayEquals(filled(2, 4096), initiator.read(0, 8, 512));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void nothingButTheHeadOfTheQueueOvertakesAnOrderedWrite(int concurrency) throws Exception {
    try (TestServer server = serving(concurrency);
        RawInitiator initiator =
            RawInitiator.loggedIn(server, "InitialR2T=No", "MaxBurstLength=2048").ready()) {
      ByteBuffer ordered = write(initiator, ORDERED);
      Pdu r2t = initiator.receive();
      ByteBuffer later = read(initiator, 0);
      ByteBuffer second = write(initiator, 0);
      ByteBuffer urgent = read(initiator, HEAD_OF_QUEUE);
      // All of its data comes unasked, and it waits all the same.
      ByteBuffer unasked = initiator.command(0x20, 1024, RawInitiator.write10(8, 2));
      initiator.send(unasked, new byte[0]);
      initiator.send(initiator.dataOut(unasked.getInt(16), -1, 0, 0, true), filled(3, 1024));
      assertArrayEquals(new byte[2048], ended(initiator, urgent).data());
      answer(initiator, r2t, 1);
      answer(initiator, initiator.receive(), 1);
      ended(initiator, ordered);
      for (int ended = 0; ended < 3; ) {
        Pdu next = initiator.receive();
        if (next.opcode() == R2T) {
          assertEquals(second.getInt(16), next.header().getInt(16));
          answer(initiator, next, 1);
        } else {
          assertEquals(0, next.scsiStatus());
          ended++;
          if (next.header().getInt(16) == later.getInt(16)) {
            assertArrayEquals(filled(1, 2048), next.data());
          }
        }
      }
      assertArrayEquals(filled(3, 1024), initiator.read(8, 2, 512));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void dataThatComesEarlyIsKeptUntilItsTaskMayBegin(int concurrency) throws Exception {
    try (TestServer server = serving(concurrency);
        RawInitiator initiator = RawInitiator.loggedIn(server, "InitialR2T=No").ready()) {
      ByteBuffer ordered = write(initiator, ORDERED);
      Pdu r2t = initiator.receive();
      ByteBuffer first = initiator.command(0xa0, 4096, RawInitiator.write10(0, 8));
      initiator.send(first, filled(2, 1000));
      ByteBuffer second = initiator.command(0x20, 8192, RawInitiator.write10(16, 16));
      initiator.send(second, filled(3, 1000));
      initiator.send(initiator.dataOut(second.getInt(16), -1, 0, 1000, true), filled(3, 3000));
      assertArrayEquals(new byte[2048], ended(initiator, read(initiator, HEAD_OF_QUEUE)).data());
      initiator.send(initiator.command(0xc3, 2048, RawInitiator.read10(16, 4)), new byte[0]);
      assertArrayEquals(new byte[2048], initiator.receive().data());
      answer(initiator, r2t, 1);
      ended(initiator, ordered);
      for (int ended = 0; ended < 2; ) {
        Pdu next = initiator.receive();
        if (next.opcode() == R2T) {
          boolean ofFirst = next.header().getInt(16) == first.getInt(16);
          answer(initiator, next, ofFirst ? 2 : 3);
        } else {
          assertEquals(0, next.scsiStatus());
          ended++;
        }
      }
      assertArrayEquals(filled(2, 4096), initiator.read(0, 8, 512));
      assertArrayEquals(filled(3, 8192), initiator.read(16, 16, 512));
    }
  }

  @Test
  void theFirstDataOfAnOrderedWriteWaitsForWhatWorkersDo() throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(8));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.holdWrites();
      ByteBuffer before = initiator.command(0xa0, 512, RawInitiator.write10(0, 1));
      initiator.send(before, filled(1, 512));
      unit.awaitHeldWrite();
      ByteBuffer ordered = initiator.command(0xa2, 1024, RawInitiator.write10(0, 2));
      initiator.send(ordered, filled(2, 512));
      TaskManagementTest.awaitCall(initiator, "awaitChange");
      unit.letGo();
      ended(initiator, before);
      answer(initiator, initiator.receive(), 2);
      ended(initiator, ordered);
      assertArrayEquals(filled(2, 1024), initiator.read(0, 2, 512));
    }
  }

  @Test
  void whatWaitsGoesOnWhenThatBeforeItIsAborted() throws Exception {
    try (TestServer server = serving(1);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      ByteBuffer first = write(initiator, 0);
      assertEquals(R2T, initiator.receive().opcode());
      ByteBuffer ordered = read(initiator, ORDERED);
      ByteBuffer after = read(initiator, 0);
      assertEquals(0, initiator.taskManagement(1, first.getInt(16)).header().get(2));
      ended(initiator, ordered);
      ended(initiator, after);
    }
  }

  @Test
  void anOrderedTaskThatIsAbortedHoldsNothingUp() throws Exception {
    try (TestServer server = serving(1);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      ByteBuffer first = write(initiator, 0);
      Pdu r2t = initiator.receive();
      ByteBuffer ordered = read(initiator, ORDERED);
      ByteBuffer after = read(initiator, 0);
      assertEquals(0, initiator.taskManagement(1, ordered.getInt(16)).header().get(2));
      ended(initiator, after);
      answer(initiator, r2t, 1);
      ended(initiator, first);
    }
  }

  @Test
  void moreThanCanWaitIsToldThatTheTaskSetIsFull() throws Exception {
    try (TestServer server = serving(1);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      ByteBuffer first = write(initiator, ORDERED);
      Pdu r2t = initiator.receive();
      int full = 0;
      for (int i = 0; i < 20; i++) {
        initiator.send(
            initiator.command(0xa0, 512, RawInitiator.write10(100 + i, 1)), filled(1, 512));
      }
      for (int i = 0; i < 4; i++) {
        full += initiator.receive().scsiStatus() == TASK_SET_FULL ? 1 : 0;
      }
      assertEquals(4, full);
      answer(initiator, r2t, 1);
      ended(initiator, first);
      for (int i = 0; i < 16; i++) {
        assertEquals(0, initiator.receive().scsiStatus());
      }
      assertArrayEquals(filled(1, 16 * 512), initiator.read(100, 16, 512));
      assertArrayEquals(new byte[512], initiator.read(116, 1, 512));
    }
  }
}
