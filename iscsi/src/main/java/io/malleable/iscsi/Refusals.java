package io.malleable.iscsi;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Tells initiators for whose connection there is no place why it ends (RFC 7143 11.13.5), so that
 * an administrator reads it in their log: one that was merely closed looks like a network that
 * fails. Each is read until its first login request is here, for a short time; more at once than
 * {@link #MAX_AT_ONCE} are closed. Safe for any thread.
 */
final class Refusals {
  private static final System.Logger LOG = System.getLogger(Refusals.class.getName());
  private static final int MAX_AT_ONCE = 64;
  private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(5);
  private static final int MAX_SKIPPED_BYTES = 64 * 1024;
  private static final int CURRENT_STAGE_MASK = 0x0c;

  private final Semaphore places = new Semaphore(MAX_AT_ONCE);
  private final FailureLog log = new FailureLog(LOG, "a connection was refused", System::nanoTime);

  /** Takes the channel over and returns at once. */
  void refuse(SocketChannel channel, LoginException reason) throws IOException {
    log.log(reason);
    if (!places.tryAcquire()) {
      channel.close();
      return;
    }
    boolean started = false;
    try {
      Thread.ofVirtual().name("iscsi-refusal").start(() -> run(channel, reason));
      started = true;
    } finally {
      if (!started) {
        places.release();
      }
    }
  }

  private void run(SocketChannel channel, LoginException reason) {
    try (channel) {
      tell(channel.socket(), reason);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "an initiator left before it was told why it is refused", e);
    } finally {
      places.release();
    }
  }

  private static void tell(Socket socket, LoginException reason) throws IOException {
    long deadline = System.nanoTime() + LIMIT_NANOS;
    byte[] bytes = new byte[Bhs.LENGTH_BYTES];
    int received = 0;
    while (received < bytes.length) {
      int count = read(socket, bytes, received, deadline);
      if (count < 0) {
        return;
      }
      received += count;
    }
    RequestHeader request = new RequestHeader();
    request.wrap(ByteBuffer.wrap(bytes), 0);
    if (request.opcode() != Opcode.LOGIN_REQUEST) {
      return;
    }
    socket.getOutputStream().write(response(request, reason.status()));
    socket.shutdownOutput();
    // What is left unread when a socket is closed resets the connection, and the answer is lost.
    byte[] rest = new byte[4096];
    int skipped = 0;
    while (skipped < MAX_SKIPPED_BYTES) {
      int count = read(socket, rest, 0, deadline);
      if (count < 0) {
        return;
      }
      skipped += count;
    }
  }

  private static int read(Socket socket, byte[] bytes, int offset, long deadlineNanos)
      throws IOException {
    long millis = TimeUnit.NANOSECONDS.toMillis(deadlineNanos - System.nanoTime());
    if (millis <= 0) {
      throw new SocketTimeoutException("no end within the limit");
    }
    socket.setSoTimeout((int) millis);
    return socket.getInputStream().read(bytes, offset, bytes.length - offset);
  }

  /** Stays in the stage of the request; numbers as if the login went on. */
  private static byte[] response(RequestHeader request, int status) {
    ByteBuffer response = ByteBuffer.allocate(Bhs.LENGTH_BYTES);
    response.put(Bhs.OPCODE_OFFSET, (byte) Opcode.LOGIN_RESPONSE);
    response.put(Bhs.FLAGS_OFFSET, (byte) (request.flags() & CURRENT_STAGE_MASK));
    // The TSIH after it is zero: there is no session.
    response.putLong(Bhs.ISID_OFFSET, request.longAt(Bhs.ISID_OFFSET) & ~0xffffL);
    response.putInt(Bhs.INITIATOR_TASK_TAG_OFFSET, request.initiatorTaskTag());
    response.putInt(Bhs.EXP_CMD_SN_OFFSET, request.cmdSn());
    response.putInt(Bhs.MAX_CMD_SN_OFFSET, request.cmdSn());
    return response.putShort(Bhs.LOGIN_STATUS_OFFSET, (short) status).array();
  }
}
