package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** When all buffers of the server are taken: slower for all, an end for nobody. */
class ScarceBuffersTest {
  private static final int BLOCK_BYTES = 512;
  private static final int WRITE_BYTES = 1 << 20;
  private static final int WRITE_BLOCKS = WRITE_BYTES / BLOCK_BYTES;
  private static final int COMMANDS = 6;

  private static TestServer serving(MemoryUnit unit, int buffers, Duration stall)
      throws IOException {
    return TestServer.serving(
        List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
        ReservationStore.none(),
        new TargetListener() {},
        config ->
            config
                .withMaxBufferBytes((long) buffers * BufferPool.BUFFER_BYTES)
                .withTimeouts(Duration.ofSeconds(30), Duration.ofSeconds(60), stall));
  }

  private static RawInitiator session(TestServer server, int number) throws IOException {
    RawInitiator initiator = new RawInitiator(server.address());
    initiator.isid += number;
    initiator.login(TestServer.INITIATOR, "InitialR2T=No", "MaxBurstLength=262144");
    return initiator.ready();
  }

  /** Several writes at once, each with some immediate data, the rest as it is asked for. */
  private static void write(RawInitiator initiator, int firstLba, byte[] data) throws IOException {
    int immediate = 1000;
    int writes = data.length / WRITE_BYTES;
    int firstTag = initiator.nextTag;
    for (int i = 0; i < writes; i++) {
      byte[] cdb = RawInitiator.write10(firstLba + i * WRITE_BLOCKS, WRITE_BLOCKS);
      int from = i * WRITE_BYTES;
      initiator.send(
          initiator.command(0xa0, WRITE_BYTES, cdb),
          Arrays.copyOfRange(data, from, from + immediate));
    }
    int left = writes;
    while (left > 0) {
      Pdu pdu = initiator.receive();
      ByteBuffer header = pdu.header();
      int tag = header.getInt(16);
      if (pdu.opcode() == 0x31) {
        int offset = header.getInt(40);
        int length = header.getInt(44);
        int from = (tag - firstTag) * WRITE_BYTES + offset;
        initiator.send(
            initiator.dataOut(tag, header.getInt(20), 0, offset, true),
            Arrays.copyOfRange(data, from, from + length));
      } else {
        assertEquals(0, pdu.scsiStatus());
        left--;
      }
    }
  }

  private static byte[] random(int seed, int length) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** Without and with worker threads. */
  @ParameterizedTest
  @ValueSource(ints = {1, 4})
  void manySessionsThatWriteAtOnceAllGetTheirTurn(int concurrency) throws Exception {
    int sessions = 8;
    MemoryUnit unit = new MemoryUnit(64L << 20).concurrency(concurrency);
    try (TestServer server = serving(unit, 4, Duration.ofSeconds(60));
        ExecutorService threads = Executors.newFixedThreadPool(sessions)) {
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < sessions; i++) {
        int number = i;
        writers.add(
            threads.submit(() -> {
              byte[] data = random(number, COMMANDS * WRITE_BYTES);
              int firstLba = number * COMMANDS * WRITE_BLOCKS;
              try (RawInitiator initiator = session(server, number)) {
                write(initiator, firstLba, data);
                for (int at = 0; at < COMMANDS; at++) {
                  assertArrayEquals(
                      Arrays.copyOfRange(data, at * WRITE_BYTES, (at + 1) * WRITE_BYTES),
                      initiator.read(firstLba + at * WRITE_BLOCKS, WRITE_BLOCKS, BLOCK_BYTES));
                }
              }
              return null;
            }));
      }
      for (Future<?> writer : writers) {
        writer.get();
      }
      awaitNoBuffers(server);
    }
  }

  @Test
  void sessionsThatNeverSendWhatTheyAnnouncedTakeNothingFromOthersAndEnd() throws IOException {
    try (TestServer server = serving(new MemoryUnit(64L << 20), 8, Duration.ofSeconds(5));
        RawInitiator good = session(server, 0)) {
      List<RawInitiator> greedy = new ArrayList<>();
      for (int i = 1; i <= 3; i++) {
        RawInitiator initiator = session(server, i);
        greedy.add(initiator);
        for (int j = 0; j < 200; j++) {
          // For immediate delivery, so beside the command window; every other unsolicited.
          int flags = j % 2 == 0 ? 0xa0 : 0x20;
          byte[] cdb = RawInitiator.write10(0, WRITE_BLOCKS);
          ByteBuffer command = initiator.command(flags, WRITE_BYTES, cdb).put(0, (byte) 0x41);
          initiator.cmdSn--;
          initiator.send(command.putInt(24, initiator.cmdSn), new byte[100]);
        }
      }
      byte[] data = random(7, COMMANDS * WRITE_BYTES);
      write(good, 0, data);
      assertArrayEquals(Arrays.copyOf(data, WRITE_BYTES), good.read(0, WRITE_BLOCKS, BLOCK_BYTES));
      for (RawInitiator initiator : greedy) {
        assertTrue(initiator.isCutOff());
        initiator.close();
      }
      write(good, 0, data);
      awaitNoBuffers(server);
    }
  }

  @Test
  void aSessionThatIsIdleKeepsNoBuffer() throws IOException {
    try (TestServer server = serving(new MemoryUnit(16 << 20), 8, Duration.ofSeconds(5));
        RawInitiator initiator = session(server, 0)) {
      for (int i = 0; i < 50; i++) {
        assertEquals(0, initiator.write(0, random(i, 65536), BLOCK_BYTES).scsiStatus());
      }
      awaitNoBuffers(server);
    }
  }

  private static void awaitNoBuffers(TestServer server) {
    long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (server.server().counters().bufferBytes() > 0) {
      assertTrue(System.nanoTime() < deadline, "buffers are lent and nobody does anything");
      Thread.onSpinWait();
    }
  }
}
