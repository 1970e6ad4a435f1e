package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class OutboundTest {
  /** A peer that takes nothing until it is told to. */
  private static final class Stalled implements WritableByteChannel {
    private final CountDownLatch writing = new CountDownLatch(1);
    private final CountDownLatch reading = new CountDownLatch(1);
    private final ByteArrayOutputStream taken = new ByteArrayOutputStream();

    @Override
    public int write(ByteBuffer source) throws IOException {
      writing.countDown();
      try {
        reading.await();
      } catch (InterruptedException e) {
        throw new IOException("interrupted", e);
      }
      byte[] bytes = new byte[source.remaining()];
      source.get(bytes);
      taken.writeBytes(bytes);
      return bytes.length;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }

  private static ByteBuffer pdu(int opcode) {
    return ByteBuffer.allocate(Bhs.LENGTH_BYTES + 4).put(0, (byte) opcode);
  }

  private static CompletableFuture<Void> sending(Outbound outbound, int opcode) {
    return CompletableFuture.runAsync(() -> {
      try {
        outbound.send(pdu(opcode), Outbound.STAT_SN_USED);
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    });
  }

  @Test
  void aMessageWaitsForWhatIsBeingSentAndAPingDoesNot() throws Exception {
    Stalled peer = new Stalled();
    Outbound outbound = new Outbound(peer);
    CompletableFuture<Void> answer = sending(outbound, Opcode.SCSI_RESPONSE);
    peer.writing.await();
    assertTrue(outbound.sendingSinceNanos() != 0);
    assertFalse(outbound.sendIfIdle(pdu(Opcode.NOP_IN), Outbound.STAT_SN_NEXT));
    CompletableFuture<Void> message = sending(outbound, Opcode.ASYNC_MESSAGE);
    peer.reading.countDown();
    answer.get(60, TimeUnit.SECONDS);
    message.get(60, TimeUnit.SECONDS);
    assertTrue(outbound.sendIfIdle(pdu(Opcode.NOP_IN), Outbound.STAT_SN_NEXT));
    ByteBuffer taken = ByteBuffer.wrap(peer.taken.toByteArray());
    int[] opcodes = {Opcode.SCSI_RESPONSE, Opcode.ASYNC_MESSAGE, Opcode.NOP_IN};
    assertEquals(opcodes.length * Bhs.LENGTH_BYTES, taken.remaining());
    for (int i = 0; i < opcodes.length; i++) {
      assertEquals(opcodes[i], taken.get(i * Bhs.LENGTH_BYTES));
      assertEquals(i, taken.getInt(i * Bhs.LENGTH_BYTES + Bhs.STAT_SN_OFFSET));
    }
  }
}
