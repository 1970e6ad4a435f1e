package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.iscsi.FaultyUnit.Fault;
import io.malleable.iscsi.RawInitiator.Pdu;
import java.nio.ByteBuffer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a store fails to do becomes sense data, never GOOD and never silence. */
class FailingStoreTest {
  private static final int CHECK_CONDITION = 2;
  private static final int SYNCHRONIZE_CACHE = 0x35;

  @ParameterizedTest
  @CsvSource({
    "READ_ERROR, 0x31100, 1",
    "SHORT_READ, 0x31100, 1",
    "BUG, 0x44400, 1",
    "READ_ERROR, 0x31100, 8",
    "SHORT_READ, 0x31100, 8",
    "BUG, 0x44400, 8"
  })
  void aReadThatFailsEndsInSense(Fault fault, String sense, int concurrency) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.fail(fault);
      initiator.send(initiator.command(0xc0, 4096, RawInitiator.read10(8, 8)), new byte[0]);
      Pdu answer = initiator.receive();
      assertEquals(0x21, answer.opcode());
      assertEquals(CHECK_CONDITION, answer.scsiStatus());
      assertEquals(Integer.decode(sense), answer.sense());
      unit.fail(Fault.NONE);
      assertArrayEquals(new byte[4096], initiator.read(8, 8, 512));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "WRITE_ERROR, 0x30c00, 1",
    "SHORT_WRITE, 0x30c00, 1",
    "OUT_OF_SPACE, 0x72707, 1",
    "BUG, 0x44400, 1",
    "WRITE_ERROR, 0x30c00, 8",
    "SHORT_WRITE, 0x30c00, 8",
    "OUT_OF_SPACE, 0x72707, 8",
    "BUG, 0x44400, 8"
  })
  void aWriteThatFailsEndsInSense(Fault fault, String sense, int concurrency) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.fail(fault);
      Pdu answer = initiator.write(0, new byte[4096], 512);
      assertEquals(CHECK_CONDITION, answer.scsiStatus());
      assertEquals(Integer.decode(sense), answer.sense());
      unit.fail(Fault.NONE);
      assertEquals(0, initiator.write(0, new byte[4096], 512).scsiStatus());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void aFlushThatFailsEndsInSenseWithAndWithoutFua(int concurrency) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.fail(Fault.FLUSH_ERROR);
      byte[] synchronize = ByteBuffer.allocate(16).put((byte) SYNCHRONIZE_CACHE).array();
      assertEquals(0x30c00, initiator.execute(synchronize).sense());
      byte[] write = RawInitiator.write10(0, 1);
      write[1] = 0x08;
      initiator.send(initiator.command(0xa0, 512, write), new byte[512]);
      assertEquals(0x30c00, initiator.receive().sense());
      // Closing the server flushes too, and would say so.
      unit.fail(Fault.NONE);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void aFailureInTheMiddleOfALongReadTellsHowFarItGot(int concurrency) throws Exception {
    MemoryUnit memory = new MemoryUnit(1 << 20).concurrency(concurrency);
    FailsBeyond unit = new FailsBeyond(memory, 16 * 1024);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      // MaxRecvDataSegmentLength is 8192 by default: two PDUs come, the third cannot.
      initiator.send(initiator.command(0xc0, 65536, RawInitiator.read10(0, 128)), new byte[0]);
      assertEquals(0x25, initiator.receive().opcode());
      assertEquals(0x25, initiator.receive().opcode());
      Pdu answer = initiator.receive();
      assertEquals(0x31100, answer.sense());
      assertEquals(2, answer.header().getInt(36), "ExpDataSN");
      assertEquals(65536 - 16384, answer.header().getInt(44), "residual count");
    }
  }
}
