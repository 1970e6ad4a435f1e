package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands that make up a machine's life allocate nothing on the connection's thread. */
class HotPathTest {
  private static final int DEPTH = 32;
  private static final int WARM_UP_ROUNDS = 400;
  private static final int ROUNDS = 400;

  @ParameterizedTest
  @ValueSource(ints = {0x28, 0x2a})
  void aCommandAllocatesNothing(int opcode) throws Exception {
    try (TestServer server = TestServer.serving(new NullUnit(1L << 30));
        RawInitiator initiator = RawInitiator.loggedIn(server).ready()) {
      byte[] batch = batch(initiator, opcode);
      for (int i = 0; i < WARM_UP_ROUNDS; i++) {
        exchange(initiator, batch);
      }
      long thread = connectionThread(initiator);
      ThreadMXBean bean = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      long before = bean.getThreadAllocatedBytes(thread);
      for (int i = 0; i < ROUNDS; i++) {
        exchange(initiator, batch);
      }
      long perCommand = (bean.getThreadAllocatedBytes(thread) - before) / (ROUNDS * DEPTH);
      assertTrue(perCommand <= 1, perCommand + " bytes for each command");
    }
  }

  private static byte[] batch(RawInitiator initiator, int opcode) {
    boolean write = opcode == 0x2a;
    int pduBytes = 48 + (write ? 4096 : 0);
    ByteBuffer batch = ByteBuffer.allocate(DEPTH * pduBytes);
    for (int i = 0; i < DEPTH; i++) {
      byte[] cdb = write ? RawInitiator.write10(8 * i, 8) : RawInitiator.read10(8 * i, 8);
      ByteBuffer header = initiator.command(write ? 0xa0 : 0xc0, 4096, cdb);
      byte[] bytes = new byte[48];
      header.get(0, bytes);
      batch.put(i * pduBytes, bytes);
      batch.putInt(i * pduBytes + 4, write ? 4096 : 0);
    }
    initiator.cmdSn -= DEPTH;
    byte[] bytes = new byte[batch.capacity()];
    batch.get(0, bytes);
    return bytes;
  }

  private static void exchange(RawInitiator initiator, byte[] batch) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(batch);
    int pduBytes = batch.length / DEPTH;
    for (int i = 0; i < DEPTH; i++) {
      buffer.putInt(i * pduBytes + 24, initiator.cmdSn++);
    }
    initiator.sendBytes(batch);
    for (int i = 0; i < DEPTH; i++) {
      assertEquals(0, initiator.receive().scsiStatus());
    }
  }

  /** Threads of connections are named by the address of their peer. */
  private static long connectionThread(RawInitiator initiator) {
    String name = "iscsi /127.0.0.1:" + initiator.localPort();
    return Arrays.stream(ManagementFactory.getThreadMXBean().dumpAllThreads(false, false))
        .filter(info -> info.getThreadName().equals(name))
        .findFirst()
        .orElseThrow()
        .getThreadId();
  }
}
