package io.malleable.netboot;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Sends one file to one client over a socket of its own, connected to it. Runs on one virtual
 * thread and ends by success, by the client's word, or after {@link #MAX_RETRIES} silences.
 */
final class TftpTransfer {
  private static final int DEFAULT_BLOCK_BYTES = 512;
  private static final int FIRST_TIMEOUT_MILLIS = 500;
  private static final int MAX_TIMEOUT_MILLIS = 4000;
  private static final int MAX_RETRIES = 7;
  private static final int HEADER_BYTES = 4;

  /** A client that always makes a little progress shall not stay for ever. */
  private static final long MAX_DURATION_NANOS = 10L * 60 * 1_000_000_000;

  private final DatagramSocket socket;
  private final byte[] content;
  private final Map<String, Long> options;
  private final int blockBytes;
  private final int window;
  private final int firstTimeoutMillis;
  private final long lastBlock;
  private final byte[] datagram;
  private final DatagramPacket incoming = new DatagramPacket(new byte[516], 516);

  TftpTransfer(DatagramSocket socket, TftpRequest request, byte[] content) {
    this.socket = socket;
    this.content = content;
    this.options = new LinkedHashMap<>(request.options());
    options.replace(TftpRequest.TRANSFER_SIZE, (long) content.length);
    this.blockBytes =
        options.getOrDefault(TftpRequest.BLOCK_SIZE, (long) DEFAULT_BLOCK_BYTES).intValue();
    this.window = options.getOrDefault(TftpRequest.WINDOW_SIZE, 1L).intValue();
    Long seconds = options.get(TftpRequest.TIMEOUT);
    this.firstTimeoutMillis =
        seconds == null ? FIRST_TIMEOUT_MILLIS : Math.toIntExact(seconds * 1000);
    // A file that ends with a full block is followed by an empty one.
    this.lastBlock = content.length / blockBytes + 1L;
    this.datagram = new byte[HEADER_BYTES + blockBytes];
  }

  /**
   * Runs to the end.
   *
   * @return whether the client has acknowledged all of it
   */
  boolean run() throws IOException {
    long deadline = System.nanoTime() + MAX_DURATION_NANOS;
    // Blocks count from 1 without end here and modulo 65536 on the wire. Block 0 is the OACK.
    long acknowledged = options.isEmpty() ? 0 : -1;
    int retries = 0;
    while (acknowledged < lastBlock) {
      if (System.nanoTime() > deadline) {
        return false;
      }
      long sent = send(acknowledged);
      long next = awaitProgress(acknowledged, sent, timeoutMillis(retries));
      if (next == CLIENT_LEFT) {
        return false;
      }
      if (next > acknowledged) {
        acknowledged = next;
        retries = 0;
      } else if (++retries > MAX_RETRIES) {
        return false;
      }
    }
    return true;
  }

  private static final long CLIENT_LEFT = -2;

  /** Sends the OACK, or the window after the last acknowledged block; returns the last one sent. */
  private long send(long acknowledged) throws IOException {
    if (acknowledged < 0) {
      send(oack());
      return 0;
    }
    long end = Math.min(acknowledged + window, lastBlock);
    for (long block = acknowledged + 1; block <= end; block++) {
      int offset = (int) ((block - 1) * blockBytes);
      int lengthBytes = Math.min(blockBytes, content.length - offset);
      ByteBuffer.wrap(datagram).putShort((short) TftpRequest.DATA).putShort((short) block);
      System.arraycopy(content, offset, datagram, HEADER_BYTES, lengthBytes);
      socket.send(new DatagramPacket(datagram, HEADER_BYTES + lengthBytes));
    }
    return end;
  }

  /**
   * Waits for an acknowledgement of what is under way. Repetitions of the last one are ignored, or
   * every delay would double the traffic from then on (the "sorcerer's apprentice"), but for one in
   * a window, which says that its first block was lost (RFC 7440 4).
   *
   * @return the block acknowledged; {@code acknowledged} itself when the window has to be repeated
   */
  private long awaitProgress(long acknowledged, long sent, int timeoutMillis) throws IOException {
    long deadline = System.nanoTime() + timeoutMillis * 1_000_000L;
    while (true) {
      long leftMillis = (deadline - System.nanoTime()) / 1_000_000;
      if (leftMillis <= 0) {
        return acknowledged;
      }
      socket.setSoTimeout((int) leftMillis);
      incoming.setLength(incoming.getData().length);
      try {
        socket.receive(incoming);
      } catch (SocketTimeoutException silence) {
        return acknowledged;
      }
      ByteBuffer packet = ByteBuffer.wrap(incoming.getData(), 0, incoming.getLength());
      if (packet.remaining() < HEADER_BYTES) {
        continue;
      }
      int opcode = packet.getShort() & 0xffff;
      int wireBlock = packet.getShort() & 0xffff;
      if (opcode == TftpRequest.ERROR) {
        return CLIENT_LEFT;
      }
      if (opcode != TftpRequest.ACK) {
        continue;
      }
      long block = acknowledged + ((wireBlock - (int) acknowledged) & 0xffff);
      if (block > acknowledged && block <= sent) {
        return block;
      }
      if (block == acknowledged && sent - acknowledged > 1) {
        return acknowledged;
      }
    }
  }

  /**
   * Doubles with each silence, also when the client named the first value: two sides with equal
   * timers can keep missing each other.
   */
  private int timeoutMillis(int retries) {
    return Math.min(
        Math.max(MAX_TIMEOUT_MILLIS, firstTimeoutMillis),
        firstTimeoutMillis << Math.min(retries, 3));
  }

  private byte[] oack() {
    StringBuilder text = new StringBuilder("\0\u0006");
    options.forEach((name, value) -> text.append(name).append('\0').append(value).append('\0'));
    return text.toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  private void send(byte[] octets) throws IOException {
    socket.send(new DatagramPacket(octets, octets.length));
  }
}
