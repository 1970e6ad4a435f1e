package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** PDUs byte by byte (RFC 7143 11): what we read from golden bytes and what we write. */
class PduCodecTest {
  private static final NegotiatedParameters PLAIN = NegotiatedParameters.defaults();
  private static final NegotiatedParameters DIGESTS =
      new NegotiatedParameters(true, true, true, true, 8192, 262144, 65536);

  /** A SCSI READ(10) of 8 blocks at LBA 0x01020304. */
  private static final String READ_COMMAND =
      """
      01 c1 00 00   opcode SCSI Command; F, R, attribute SIMPLE
      00 00 00 00   no AHS, no data
      00 05 00 00 00 00 00 00   LUN 5
      00 00 00 2a   initiator task tag
      00 00 10 00   expected data transfer length 4096
      00 00 00 07   CmdSN
      00 00 00 09   ExpStatSN
      28 00 01 02 03 04 00 00 08 00 00 00 00 00 00 00   CDB
      """;

  /** A Data-Out of 5 bytes, padded to 8. */
  private static final String DATA_OUT =
      """
      05 80 00 00   opcode Data-Out; F
      00 00 00 05   5 bytes of data
      00 00 00 00 00 00 00 00   LUN 0
      00 00 00 2b   initiator task tag
      00 00 00 11   target transfer tag
      00 00 00 00
      00 00 00 0a   ExpStatSN
      00 00 00 00
      00 00 00 01   DataSN
      00 00 02 00   buffer offset 512
      00 00 00 00
      68 65 6c 6c 6f 00 00 00   hello, padding
      """;

  private final BufferPool pool = new BufferPool(4L * BufferPool.BUFFER_BYTES, 1000);

  /** The hexadecimal columns of commented lines. */
  private static byte[] bytes(String commented) {
    StringBuilder hex = new StringBuilder();
    for (String line : commented.split("\n", -1)) {
      int comment = line.indexOf("   ");
      hex.append(comment < 0 ? line : line.substring(0, comment)).append(' ');
    }
    return HexFormat.of().parseHex(hex.toString().replace(" ", ""));
  }

  private PduReader reader(byte[] stream) {
    return new PduReader(Channels.newChannel(new ByteArrayInputStream(stream)), pool);
  }

  private static void await(PduReader reader) throws IOException {
    while (!reader.next()) {
      reader.fill();
    }
  }

  @Test
  void aScsiCommandIsReadFieldByField() throws IOException {
    PduReader reader = reader(bytes(READ_COMMAND));
    await(reader);
    RequestHeader header = reader.header();
    assertEquals(Opcode.SCSI_COMMAND, header.opcode());
    assertFalse(header.immediate());
    assertTrue(header.finalBit());
    assertEquals(5L << 48, header.lun());
    assertEquals(0x2a, header.initiatorTaskTag());
    assertEquals(4096, header.intAt(Bhs.EXPECTED_DATA_TRANSFER_LENGTH_OFFSET));
    assertEquals(7, header.cmdSn());
    assertEquals(9, header.expStatSn());
    byte[] cdb = new byte[16];
    header.copyCdb(cdb);
    assertEquals(0x01020304L, Cdb.u32(cdb, 2));
    assertEquals(8, Cdb.u16(cdb, 7));
    assertEquals(0, reader.dataLength());
  }

  @Test
  void twoPdusInOneReadComeOneAfterTheOther() throws IOException {
    byte[] stream = Arrays.copyOf(bytes(DATA_OUT), 56 + 48);
    System.arraycopy(bytes(READ_COMMAND), 0, stream, 56, 48);
    PduReader reader = reader(stream);
    await(reader);
    assertEquals(Opcode.DATA_OUT, reader.header().opcode());
    assertEquals(0x11, reader.header().targetTransferTag());
    assertEquals(512, reader.header().intAt(Bhs.BUFFER_OFFSET_OFFSET));
    byte[] data = new byte[reader.dataLength()];
    reader.buffer().get(reader.dataOffset(), data);
    assertArrayEquals("hello".getBytes(StandardCharsets.US_ASCII), data);
    await(reader);
    assertEquals(Opcode.SCSI_COMMAND, reader.header().opcode());
    assertThrows(EOFException.class, reader::fill);
  }

  @Test
  void aPduCutOffAtAnyLengthIsNeverDelivered() {
    byte[] whole = bytes(DATA_OUT);
    for (int length = 0; length < whole.length; length++) {
      PduReader reader = reader(Arrays.copyOf(whole, length));
      assertThrows(EOFException.class, () -> await(reader), "length " + length);
    }
  }

  @Test
  void aPduOfAnySizeArrivesHoweverTheStreamIsCut() throws IOException {
    for (int size : new int[] {0, 1, 511, 8191, 12_000, 70_000, BufferPool.MAX_SEGMENT_BYTES}) {
      byte[] stream = Arrays.copyOf(bytes(DATA_OUT), 48 + ((size + 3) & ~3) + 48);
      stream[5] = (byte) (size >> 16);
      stream[6] = (byte) (size >> 8);
      stream[7] = (byte) size;
      for (int i = 0; i < size; i++) {
        stream[48 + i] = (byte) (i * 31);
      }
      System.arraycopy(bytes(READ_COMMAND), 0, stream, stream.length - 48, 48);
      for (int step : new int[] {7, 48, 4096, stream.length}) {
        ByteArrayInputStream in =
            new ByteArrayInputStream(stream) {
              @Override
              public int read(byte[] target, int offset, int length) {
                return super.read(target, offset, Math.min(length, step));
              }
            };
        try (PduReader reader = new PduReader(Channels.newChannel(in), pool)) {
          reader.fullFeaturePhase(BufferPool.MAX_SEGMENT_BYTES, PLAIN);
          await(reader);
          assertEquals(size, reader.dataLength());
          for (int i = 0; i < size; i++) {
            assertEquals((byte) (i * 31), reader.buffer().get(reader.dataOffset() + i));
          }
          await(reader);
          assertEquals(0x2a, reader.header().initiatorTaskTag());
        }
      }
    }
    assertEquals(0, pool.inUse());
  }

  @Test
  void aDataSegmentLongerThanDeclaredIsAProtocolError() {
    byte[] stream = bytes(DATA_OUT);
    stream[6] = 0x20;
    stream[7] = 0x01;
    assertThrows(ProtocolException.class, () -> await(reader(stream)));
  }

  @Test
  void digestsAreCheckedAndWritten() throws IOException {
    ByteArrayOutputStream sent = new ByteArrayOutputStream();
    Outbound outbound = new Outbound(Channels.newChannel(sent));
    outbound.fullFeaturePhase(DIGESTS);
    try (PduWriter writer = new PduWriter(outbound, pool)) {
      writer.fullFeaturePhase(DIGESTS);
      writer.begin(Opcode.NOP_IN, Bhs.FINAL_BIT, 7, Outbound.STAT_SN_USED, 5).put(new byte[5]);
      writer.end();
      writer.flush();
    }
    byte[] stream = sent.toByteArray();
    assertEquals(48 + 4 + 8 + 4, stream.length);
    // The CRC32C of eight zero bytes is 8c28b28a; the wire has its least significant byte first.
    assertArrayEquals(HexFormat.of().parseHex("8ab2288c"), Arrays.copyOfRange(stream, 60, 64));
    assertDigests(stream, true);
    byte[] badData = stream.clone();
    badData[53] ^= 1;
    assertDigests(badData, false);
    byte[] badHeader = stream.clone();
    badHeader[20] ^= 1;
    PduReader reader = reader(badHeader);
    reader.fullFeaturePhase(8192, DIGESTS);
    assertThrows(ProtocolException.class, () -> await(reader));
  }

  private void assertDigests(byte[] stream, boolean intact) throws IOException {
    PduReader reader = reader(stream);
    reader.fullFeaturePhase(8192, DIGESTS);
    await(reader);
    assertEquals(intact, reader.dataIntact());
  }

  /** Sends what the caller builds and returns the bytes, with ExpCmdSN 0x30 and StatSN from 0. */
  private byte[] written(Builder builder) throws IOException {
    ByteArrayOutputStream sent = new ByteArrayOutputStream();
    Outbound outbound = new Outbound(Channels.newChannel(sent));
    outbound.window(new CommandWindow(0x30, 16));
    try (PduWriter writer = new PduWriter(outbound, pool)) {
      builder.build(writer);
      writer.flush();
    }
    return sent.toByteArray();
  }

  @FunctionalInterface
  private interface Builder {
    void build(PduWriter writer) throws IOException;
  }

  private static Task task(int tag, long expectedBytes) {
    Task task = new Task();
    task.reset();
    task.initiatorTaskTag = tag;
    task.expectedBytes = expectedBytes;
    task.expectsRead = true;
    return task;
  }

  @Test
  void aGoodResponseIsWritten() throws IOException {
    assertArrayEquals(
        bytes(
            """
            21 80 00 00   SCSI Response; F; completed, GOOD
            00 00 00 00
            00 00 00 00 00 00 00 00
            00 00 00 2a   initiator task tag
            00 00 00 00
            00 00 00 00   StatSN
            00 00 00 30   ExpCmdSN
            00 00 00 3f   MaxCmdSN
            00 00 00 00   ExpDataSN
            00 00 00 00
            00 00 00 00   residual count
            """),
        written(writer -> Replies.good(writer, task(0x2a, 0), 0, 0)));
  }

  @Test
  void aCheckConditionCarriesSenseAndResidual() throws IOException {
    assertArrayEquals(
        bytes(
            """
            21 82 00 02   SCSI Response; F, underflow; CHECK CONDITION
            00 00 00 14   20 bytes of data
            00 00 00 00 00 00 00 00
            00 00 00 2a   initiator task tag
            00 00 00 00
            00 00 00 00   StatSN
            00 00 00 30   ExpCmdSN
            00 00 00 3f   MaxCmdSN
            00 00 00 00   ExpDataSN
            00 00 00 00
            00 00 02 00   residual count 512
            00 12   sense length 18
            70 00 05 00 00 00 00 0a   fixed format, ILLEGAL REQUEST
            00 00 00 00 24 00 00 c0 00 01   invalid field in CDB, at byte 1
            """),
        written(writer ->
            Replies.checkCondition(writer, task(0x2a, 512), SenseData.invalidFieldInCdb(1), 0, 0)));
  }

  @Test
  void dataInCarriesTheStatusInItsLastPdu() throws IOException {
    Task task = task(0x2a, 16);
    task.transferBytes = 6;
    assertArrayEquals(
        bytes(
            """
            25 00 00 00   Data-In, more follows in this burst
            00 00 00 04   4 bytes
            00 00 00 00 00 00 00 00
            00 00 00 2a   initiator task tag
            ff ff ff ff   target transfer tag
            00 00 00 00   no StatSN without status
            00 00 00 30   ExpCmdSN
            00 00 00 3f   MaxCmdSN
            00 00 00 00   DataSN
            00 00 00 00   buffer offset
            00 00 00 00
            01 02 03 04   data
            25 83 00 00   Data-In; F, underflow, S; GOOD
            00 00 00 02   2 bytes
            00 00 00 00 00 00 00 00
            00 00 00 2a   initiator task tag
            ff ff ff ff   target transfer tag
            00 00 00 00   StatSN
            00 00 00 30   ExpCmdSN
            00 00 00 3f   MaxCmdSN
            00 00 00 01   DataSN
            00 00 00 04   buffer offset
            00 00 00 0a   residual count 10
            05 06 00 00   data, padding
            """),
        written(writer ->
            Replies.parameterData(
                writer,
                task,
                new byte[] {1, 2, 3, 4, 5, 6},
                new NegotiatedParameters(false, false, true, true, 4, 262144, 65536))));
  }

  @Test
  void readyToTransferUsesNoStatSn() throws IOException {
    Task task = task(0x2a, 65536);
    task.lunField = 5L << 48;
    task.targetTransferTag = 0x11;
    byte[] both =
        written(writer -> {
          Replies.readyToTransfer(writer, task, 3, 512, 4096);
          Replies.good(writer, task(0x2b, 0), 0, 0);
        });
    assertArrayEquals(
        bytes(
            """
            31 80 00 00   R2T; F
            00 00 00 00
            00 05 00 00 00 00 00 00   LUN 5
            00 00 00 2a   initiator task tag
            00 00 00 11   target transfer tag
            00 00 00 00   next StatSN
            00 00 00 30   ExpCmdSN
            00 00 00 3f   MaxCmdSN
            00 00 00 03   R2TSN
            00 00 02 00   buffer offset 512
            00 00 10 00   desired length 4096
            """),
        Arrays.copyOf(both, 48));
    assertEquals(0, both[48 + 27], "StatSN of the response after it");
  }

  @Test
  void aCancelledPduLeavesNoTrace() throws IOException {
    byte[] expected = written(writer -> Replies.good(writer, task(1, 0), 0, 0));
    byte[] actual =
        written(writer -> {
          writer.begin(Opcode.DATA_IN, 0, 9, Outbound.STAT_SN_USED, 4096);
          writer.cancel();
          Replies.good(writer, task(1, 0), 0, 0);
        });
    assertArrayEquals(expected, actual);
  }
}
