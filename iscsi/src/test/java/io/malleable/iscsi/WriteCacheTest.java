package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.FailingStoreTest.Change;
import io.malleable.iscsi.FaultyUnit.Fault;
import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a unit with and without a write cache says of itself, and when its writes are durable. */
class WriteCacheTest {
  private static final int MODE_SENSE_6 = 0x1a;
  private static final int MODE_SELECT_6 = 0x15;
  private static final int CACHING = 0x08;
  private static final int WCE = 0x04;

  private static FaultyUnit unit(int concurrency) {
    return new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
  }

  /** The caching page, without a block descriptor. */
  private static byte[] cachingPage(RawInitiator initiator, int pageControl) throws IOException {
    byte[] cdb = {MODE_SENSE_6, 0x08, (byte) (pageControl << 6 | CACHING), 0, 64, 0};
    byte[] answer = initiator.parameterData(Arrays.copyOf(cdb, 16), 64);
    return Arrays.copyOfRange(answer, 4, answer.length);
  }

  @Test
  void theCachingPageSaysWhetherThereIsAWriteCache() throws Exception {
    FaultyUnit with = unit(1);
    FaultyUnit without = unit(1).withoutWriteCache();
    try (TestServer server = TestServer.serving(with);
        TestServer other = TestServer.serving(without);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready();
        RawInitiator second = RawInitiator.loggedIn(other).ready()) {
      assertEquals(WCE, cachingPage(initiator, 0)[2]);
      assertEquals(0, cachingPage(second, 0)[2]);
      assertEquals(WCE, cachingPage(initiator, 2)[2], "default value");
      assertEquals(0, cachingPage(second, 2)[2], "default value");
      assertEquals(0, cachingPage(initiator, 1)[2], "changeable");
      assertEquals(0, cachingPage(second, 1)[2], "changeable");
    }
  }

  @Test
  void modeSelectTurnsTheWriteCacheNeitherOnNorOff() throws Exception {
    try (TestServer server = TestServer.serving(unit(1).withoutWriteCache());
        TestServer other = TestServer.serving(unit(1));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready();
        RawInitiator second = RawInitiator.loggedIn(other).ready()) {
      assertEquals(0x52600, select(initiator, WCE).sense());
      assertEquals(0, select(initiator, 0).scsiStatus());
      assertEquals(0, cachingPage(initiator, 0)[2]);
      assertEquals(0x52600, select(second, 0).sense());
      assertEquals(WCE, cachingPage(second, 0)[2]);
    }
  }

  private static Pdu select(RawInitiator initiator, int cacheBits) throws IOException {
    byte[] list = new byte[24];
    list[4] = CACHING;
    list[5] = 18;
    list[6] = (byte) cacheBits;
    byte[] cdb = {MODE_SELECT_6, 0x10, 0, 0, (byte) list.length, 0};
    initiator.send(initiator.command(0xa0, list.length, Arrays.copyOf(cdb, 16)), list);
    return initiator.receive();
  }

  @ParameterizedTest
  @EnumSource
  void withoutACacheWhateverChangesTheMediumIsDurableWhenItIsAnswered(Change change)
      throws Exception {
    for (int concurrency : new int[] {1, 8}) {
      FaultyUnit unit = unit(concurrency).withoutWriteCache();
      try (TestServer server = TestServer.serving(unit);
          RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
        assertEquals(0, change.execute(initiator, unit.identity().id()).scsiStatus());
        assertFalse(unit.dirty());
        unit.fail(Fault.FLUSH_ERROR);
        assertEquals(0x30c00, change.execute(initiator, unit.identity().id()).sense());
        unit.fail(Fault.NONE);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = "WRITE_AND_VERIFY", mode = EnumSource.Mode.EXCLUDE)
  void withACacheItIsNotFlushed(Change change) throws Exception {
    FaultyUnit unit = unit(1);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      assertEquals(0, change.execute(initiator, unit.identity().id()).scsiStatus());
      assertTrue(unit.dirty());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0a 00 00 00 01 00",
        "2a 00 00 00 00 00 00 00 01 00",
        "aa 00 00 00 00 00 00 00 00 01 00 00",
        "8a 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00"
      })
  void withoutACacheAWriteIsDurableWhenItIsAnswered(String cdb) throws Exception {
    for (int concurrency : new int[] {1, 8}) {
      FaultyUnit unit = unit(concurrency).withoutWriteCache();
      byte[] command = Arrays.copyOf(HexFormat.ofDelimiter(" ").parseHex(cdb), 16);
      try (TestServer server = TestServer.serving(unit);
          RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
        initiator.send(initiator.command(0xa0, 512, command), new byte[512]);
        assertEquals(0, initiator.receive().scsiStatus());
        assertFalse(unit.dirty());
      }
    }
  }

  @Test
  void withoutACacheAWriteOfSeveralBurstsIsDurableWhenItIsAnswered() throws Exception {
    FaultyUnit unit = unit(1).withoutWriteCache();
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server, "MaxBurstLength=4096").ready()) {
      ByteBuffer command = initiator.command(0xa0, 8192, RawInitiator.write10(0, 16));
      initiator.send(command, new byte[0]);
      for (int offset = 0; offset < 8192; offset += 4096) {
        int transferTag = initiator.receive().header().getInt(20);
        initiator.send(
            initiator.dataOut(command.getInt(16), transferTag, 0, offset, true), new byte[4096]);
      }
      assertEquals(0, initiator.receive().scsiStatus());
      assertFalse(unit.dirty());
    }
  }
}
