package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.FaultyUnit.Fault;
import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a store fails to do becomes sense data, never GOOD and never silence. */
class FailingStoreTest {
  private static final int CHECK_CONDITION = 2;
  private static final int BUSY = 8;
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

  /** Commands that change the medium otherwise than by plain writing: CDB and data. */
  enum Change {
    UNMAP(
        "42 00 00 00 00 00 00 00 18 00",
        "0016 0010 00000000 0000000000000000 00000008 00000000",
        24),
    WRITE_SAME_10("41 00 00 00 00 00 00 00 08 00", "01", 512),
    WRITE_SAME_16_ZEROES("93 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00", "", 512),
    WRITE_SAME_16_UNMAP("93 08 00 00 00 00 00 00 00 00 00 00 00 08 00 00", "", 512),
    COMPARE_AND_WRITE("89 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00", "", 1024),
    ORWRITE("8b 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00", "01", 512),
    WRITE_ATOMIC("9c 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00", "01", 512),
    WRITE_AND_VERIFY("2e 00 00 00 00 00 00 00 01 00", "01", 512),
    EXTENDED_COPY("83 00 00 00 00 00 00 00 00 00 00 00 00 4c 00 00", "", 76);

    private final String cdb;
    private final String data;
    private final int dataBytes;

    Change(String cdb, String data, int dataBytes) {
      this.cdb = cdb;
      this.data = data;
      this.dataBytes = dataBytes;
    }

    Pdu execute(RawInitiator initiator, UUID unit) throws IOException {
      byte[] sent = this == EXTENDED_COPY ? copyList(unit) : bytes(data, dataBytes);
      initiator.send(initiator.command(0xa0, sent.length, bytes(cdb, 16)), sent);
      return initiator.receive();
    }

    private static byte[] bytes(String hex, int length) {
      return Arrays.copyOf(HexFormat.of().parseHex(hex.replace(" ", "")), length);
    }

    /** Copies one block of the unit to another place (SPC-4 6.4). */
    private static byte[] copyList(UUID unit) {
      ByteBuffer list = ByteBuffer.allocate(76);
      list.putShort(2, (short) 32).putInt(8, 28);
      byte[] naa = InquiryData.naa(unit);
      list.put(16, (byte) 0xe4).put(20, (byte) 1).put(21, (byte) 3).put(23, (byte) naa.length);
      list.put(24, naa);
      list.put(48, (byte) 2).putShort(50, (short) 24).putShort(58, (short) 1).putLong(68, 9);
      return list.array();
    }
  }

  @ParameterizedTest
  @EnumSource
  void whateverChangesTheMediumAndFailsEndsInSense(Change change) throws Exception {
    for (int concurrency : new int[] {1, 8}) {
      FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
      UUID id = unit.identity().id();
      try (TestServer server = TestServer.serving(unit);
          RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
        unit.fail(Fault.WRITE_ERROR);
        assertEquals(0x30c00, change.execute(initiator, id).sense());
        unit.fail(Fault.OUT_OF_SPACE);
        assertEquals(0x72707, change.execute(initiator, id).sense());
        unit.fail(Fault.BUG);
        assertEquals(0x44400, change.execute(initiator, id).sense());
        unit.fail(Fault.NONE);
        assertEquals(0, change.execute(initiator, id).scsiStatus());
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatAFullStoreRefusesIsToBeSentAgainForATime(Change change) throws Exception {
    for (int concurrency : new int[] {1, 8}) {
      FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
      UUID id = unit.identity().id();
      try (TestServer server =
              TestServer.serving(
                  List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
                  ReservationStore.none(),
                  new TargetListener() {},
                  config -> config.withStoreFullBusy(IscsiServerConfig.MAX_STORE_FULL_BUSY));
          RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
        unit.fail(Fault.OUT_OF_SPACE);
        for (int i = 0; i < 3; i++) {
          Pdu answer = change.execute(initiator, id);
          assertEquals(BUSY, answer.scsiStatus());
          assertEquals(0, answer.data().length);
        }
        assertEquals(List.of(SpaceRefusal.Answer.HELD), answers(server));
        unit.fail(Fault.UNIT_FULL);
        assertEquals(0x72707, change.execute(initiator, id).sense(), "waiting does not help");
        assertEquals(List.of(SpaceRefusal.Answer.UNIT_FULL), answers(server));
        unit.fail(Fault.WRITE_ERROR);
        assertEquals(0x30c00, change.execute(initiator, id).sense(), "anything else fails at once");
        unit.fail(Fault.NONE);
        assertEquals(0, change.execute(initiator, id).scsiStatus());
        assertEquals(List.of(), answers(server), "the write was done at last");
      }
    }
  }

  @Test
  void aWriteThatFindsNoRoomWhenItIsMadeDurableIsRefusedUntilThatIsDone() throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20)).withoutWriteCache();
    try (TestServer server =
            TestServer.serving(
                List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
                ReservationStore.none(),
                new TargetListener() {},
                config -> config.withStoreFullBusy(IscsiServerConfig.MAX_STORE_FULL_BUSY));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.fail(Fault.FLUSH_OUT_OF_SPACE);
      assertEquals(BUSY, initiator.write(0, new byte[512], 512).scsiStatus());
      long lasting = server.server().spaceRefusals().getFirst().lasting().toNanos();
      assertEquals(BUSY, initiator.write(0, new byte[512], 512).scsiStatus());
      SpaceRefusal refusal = server.server().spaceRefusals().getFirst();
      assertEquals(SpaceRefusal.Answer.HELD, refusal.answer());
      assertTrue(refusal.lasting().toNanos() > lasting, "since the first, not the last");
      unit.fail(Fault.NONE);
      assertEquals(0, initiator.write(0, new byte[512], 512).scsiStatus());
      assertEquals(List.of(), answers(server));
    }
  }

  private static List<SpaceRefusal.Answer> answers(TestServer server) {
    return server.server().spaceRefusals().stream().map(SpaceRefusal::answer).toList();
  }

  @ParameterizedTest
  @EnumSource(names = {"COMPARE_AND_WRITE", "ORWRITE", "WRITE_AND_VERIFY", "EXTENDED_COPY"})
  void whatReadsFirstAndCannotEndsInTheSenseOfARead(Change change) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      for (Fault fault : new Fault[] {Fault.READ_ERROR, Fault.SHORT_READ}) {
        unit.fail(fault);
        assertEquals(0x31100, change.execute(initiator, unit.identity().id()).sense());
      }
      unit.fail(Fault.NONE);
    }
  }

  @Test
  void aBurstThatCannotBeWrittenEndsTheCommandBeforeTheNextIsAskedFor() throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server, "MaxBurstLength=4096").ready()) {
      unit.fail(Fault.WRITE_ERROR);
      ByteBuffer command = initiator.command(0xa0, 8192, RawInitiator.write10(0, 16));
      initiator.send(command, new byte[0]);
      int transferTag = initiator.receive().header().getInt(20);
      initiator.send(
          initiator.dataOut(command.getInt(16), transferTag, 0, 0, true), new byte[4096]);
      assertEquals(0x30c00, initiator.receive().sense());
      unit.fail(Fault.NONE);
      assertEquals(0, initiator.write(0, new byte[4096], 512).scsiStatus());
    }
  }

  @Test
  void aStateOfProvisioningThatCannotBeReadEndsInSense() throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      unit.fail(Fault.READ_ERROR);
      byte[] cdb =
          ByteBuffer.allocate(16).put((byte) 0x9e).put((byte) 0x12).put(13, (byte) 32).array();
      initiator.send(initiator.command(0xc0, 32, cdb), new byte[0]);
      assertEquals(0x31100, initiator.receive().sense());
      unit.fail(Fault.NONE);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void anErrorEndsItsSessionLoudlyAndNoOther(int concurrency) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
    Recorder recorder = new Recorder();
    try (TestServer server =
            TestServer.serving(
                List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
                ReservationStore.none(),
                recorder,
                UnaryOperator.identity());
        RawInitiator initiator = RawInitiator.loggedIn(server).ready();
        RawInitiator neighbour = new RawInitiator(server.address())) {
      neighbour.isid++;
      neighbour.login(TestServer.INITIATOR);
      neighbour.ready();
      unit.fail(Fault.ERROR);
      initiator.send(initiator.command(0xa0, 512, RawInitiator.write10(0, 1)), new byte[512]);
      assertTrue(initiator.isCutOff());
      String end = "end " + TestServer.INITIATOR + ": FAILURE";
      assertEquals(end, recorder.skipTo(end));
      unit.fail(Fault.NONE);
      assertEquals(0, neighbour.write(0, new byte[512], 512).scsiStatus());
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
