package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Commands at the edge of what the unit or the session takes. */
class CommandLimitsTest {
  /** 512 MiB in blocks of 512 bytes: MAXIMUM UNMAP LBA COUNT of the Block Limits page. */
  private static final int MAX_UNMAP_BLOCKS = 1 << 20;

  @Test
  void theLimitOfUnmapIsThatOfTheWholeCommand() throws Exception {
    MemoryUnit unit = new MemoryUnit(2L << 30);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      byte[] data = new byte[512];
      data[0] = 1;
      assertEquals(0, initiator.write(0, data, 512).scsiStatus());
      int half = MAX_UNMAP_BLOCKS / 2;
      assertEquals(0x52600, unmap(initiator, half, half + 1).sense());
      assertArrayEquals(data, initiator.read(0, 1, 512), "nothing was unmapped");
      assertEquals(0, unmap(initiator, half, half).scsiStatus());
      assertArrayEquals(new byte[512], initiator.read(0, 1, 512));
    }
  }

  @ParameterizedTest
  @CsvSource({"200, true", "200, false", "700, true", "70000, false"})
  void dataThatEndsWithinABlockIsWrittenAndTheRestOfTheBlockStays(int announced, boolean immediate)
      throws Exception {
    byte[] before = new byte[200 * 512];
    new Random(announced).nextBytes(before);
    MemoryUnit unit = new MemoryUnit(1 << 20);
    unit.write(0, ByteBuffer.wrap(before));
    byte[] sent = new byte[announced];
    new Random(1).nextBytes(sent);
    byte[] expected = before.clone();
    System.arraycopy(sent, 0, expected, 0, announced);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server, "MaxBurstLength=1000").ready()) {
      ByteBuffer command = initiator.command(0xa0, announced, RawInitiator.write10(0, 200));
      initiator.send(command, immediate ? sent : new byte[0]);
      RawInitiator.Pdu answer = initiator.receive();
      while (answer.opcode() == 0x31) {
        int offset = answer.header().getInt(40);
        byte[] burst = Arrays.copyOfRange(sent, offset, offset + answer.header().getInt(44));
        int transferTag = answer.header().getInt(20);
        initiator.send(initiator.dataOut(command.getInt(16), transferTag, 0, offset, true), burst);
        answer = initiator.receive();
      }
      assertEquals(0, answer.scsiStatus());
      assertEquals(0x84, answer.flags(), "final, overflow");
      assertEquals(before.length - announced, answer.header().getInt(44), "residual count");
      assertArrayEquals(expected, initiator.read(0, 200, 512));
    }
  }

  @Test
  void orWriteOfPartOfABlockChangesNothingBeyond() throws Exception {
    byte[] before = new byte[512];
    Arrays.fill(before, (byte) 0x0f);
    MemoryUnit unit = new MemoryUnit(1 << 20);
    unit.write(0, ByteBuffer.wrap(before));
    byte[] sent = new byte[100];
    Arrays.fill(sent, (byte) 0x50);
    byte[] expected = before.clone();
    Arrays.fill(expected, 0, sent.length, (byte) 0x5f);
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      byte[] orWrite16 = new byte[16];
      orWrite16[0] = (byte) 0x8b;
      orWrite16[13] = 1;
      initiator.send(initiator.command(0xa0, sent.length, orWrite16), sent);
      assertEquals(0, initiator.receive().scsiStatus());
      assertArrayEquals(expected, initiator.read(0, 1, 512));
    }
  }

  private static RawInitiator.Pdu unmap(RawInitiator initiator, int blocks, int moreBlocks)
      throws Exception {
    ByteBuffer list = ByteBuffer.allocate(40).putShort((short) 38).putShort((short) 32).putInt(0);
    list.putLong(0).putInt(blocks).putInt(0).putLong(blocks).putInt(moreBlocks).putInt(0);
    byte[] cdb = new byte[16];
    cdb[0] = 0x42;
    cdb[8] = 40;
    initiator.send(initiator.command(0xa0, 40, cdb), list.array());
    return initiator.receive();
  }

  @ParameterizedTest
  @CsvSource({"1024, 262144", "3000, 262144", "262144, 1000", "600, 1000"})
  void anInitiatorThatTakesLessThanABlockAtOnceGetsEverything(int segment, int burst)
      throws Exception {
    MemoryUnit unit = new MemoryUnit(UUID.randomUUID(), 16 << 20, 4096);
    byte[] data = new byte[(1 << 20) + 8 * 4096];
    new Random(segment).nextBytes(data);
    unit.write(4096, ByteBuffer.wrap(data));
    try (TestServer server = TestServer.serving(unit);
        RawInitiator initiator =
            RawInitiator.loggedIn(
                    server,
                    "MaxRecvDataSegmentLength=" + segment,
                    "MaxBurstLength=" + burst,
                    "FirstBurstLength=512")
                .ready()) {
      assertArrayEquals(data, initiator.read(1, data.length / 4096, 4096));
    }
  }

  /** RFC 7143 11.3.1: ACA needs such a condition, which there never is; the rest is reserved. */
  @ParameterizedTest
  @ValueSource(ints = {4, 5, 6, 7})
  void aTaskAttributeThatCannotBeIsRefused(int attribute) throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      initiator.send(initiator.command(0x80 | attribute, 0, new byte[16]), new byte[0]);
      assertEquals(0x54900, initiator.receive().sense());
      initiator.send(initiator.command(0x83, 0, new byte[16]), new byte[0]);
      assertEquals(0, initiator.receive().scsiStatus(), "head of queue");
    }
  }
}
