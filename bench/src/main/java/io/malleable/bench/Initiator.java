package io.malleable.bench;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * An initiator that can log in, read and write, with no allocation after that: enough to load a
 * target with more sessions than other initiators open, and to measure what the target allocates.
 * One thread uses it.
 */
final class Initiator implements AutoCloseable {
  private static final int HEADER_BYTES = 48;
  private static final int OPCODE_NOP_OUT_IMMEDIATE = 0x40;
  private static final int OPCODE_SCSI_COMMAND = 0x01;
  private static final int OPCODE_LOGIN_IMMEDIATE = 0x43;
  private static final int OPCODE_LOGIN_RESPONSE = 0x23;
  private static final int OPCODE_NOP_IN = 0x20;
  private static final int OPCODE_SCSI_RESPONSE = 0x21;
  private static final int OPCODE_DATA_IN = 0x25;

  /** Transit from operational negotiation to the full feature phase (RFC 7143 11.12). */
  private static final int LOGIN_FLAGS = 0x80 | 1 << 2 | 3;

  /** Security negotiation that goes on, and its transit to operational negotiation. */
  private static final int SECURITY = 0;

  private static final int SECURITY_DONE = 0x80 | 1;

  private static final String OPERATIONAL_KEYS =
      """
      HeaderDigest=None
      DataDigest=None
      MaxRecvDataSegmentLength=262144
      MaxBurstLength=1048576
      InitialR2T=No
      ImmediateData=Yes
      """;

  private static final int FINAL = 0x80;
  private static final int READ = 0x40;
  private static final int WRITE = 0x20;
  private static final int STATUS_IN_DATA = 0x01;
  private static final int UNSOLICITED = 0xffffffff;
  private static final byte READ_10 = 0x28;
  private static final byte WRITE_10 = 0x2a;
  private static final int SECTOR_BYTES = 512;

  private final SocketChannel channel;
  private final ByteBuffer out;
  private final ByteBuffer in;
  private int cmdSn = 1;
  private int expStatSn;
  private int nextTag = 1;

  private Initiator(SocketChannel channel, int maxTransferBytes, int depth) {
    this.channel = channel;
    this.out = ByteBuffer.allocateDirect(HEADER_BYTES * (depth + 2) + 4096);
    this.in = ByteBuffer.allocateDirect(Math.max(8192, (maxTransferBytes + HEADER_BYTES) * 2));
    in.limit(0);
  }

  /**
   * Logs in without authentication; {@code number} makes name and ISID unique.
   *
   * @param maxTransferBytes of one read
   * @param depth reads that may be queued before {@link #send}
   */
  static Initiator login(
      InetSocketAddress address, String target, int number, int maxTransferBytes, int depth)
      throws IOException {
    return login(new Initiator(connect(address), maxTransferBytes, depth), target, number, null);
  }

  /** By what the initiator proves who it is (RFC 7143 12.1.3). */
  record Chap(String username, String secret) {
    @Override
    public String toString() {
      return "Chap[username=" + username + "]";
    }
  }

  /**
   * Logs in with CHAP, for one command of 4 KiB at a time.
   *
   * @param iscsi what the API says of how the disk is reached
   */
  static Initiator login(JsonNode iscsi, int number) throws IOException {
    String portal = iscsi.path("portal").asText();
    int colon = portal.lastIndexOf(':');
    InetSocketAddress address =
        new InetSocketAddress(
            portal.substring(0, colon), Integer.parseInt(portal.substring(colon + 1)));
    Chap chap = new Chap(iscsi.path("username").asText(), iscsi.path("password").asText());
    Initiator initiator = new Initiator(connect(address), 4096, 1);
    return login(initiator, iscsi.path("target").asText(), number, chap);
  }

  private static SocketChannel connect(InetSocketAddress address) throws IOException {
    SocketChannel channel = SocketChannel.open(address);
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    return channel;
  }

  private static Initiator login(
      Initiator initiator, String target, int number, @Nullable Chap chap) throws IOException {
    try {
      String names =
          """
          InitiatorName=iqn.2026-11.io.malleable.bench:initiator-%d
          TargetName=%s
          SessionType=Normal
          """
              .formatted(number, target);
      if (chap == null) {
        initiator.login(number, LOGIN_FLAGS, names + OPERATIONAL_KEYS);
      } else {
        initiator.login(number, SECURITY, names + "AuthMethod=CHAP\n");
        Map<String, String> challenge = initiator.login(number, SECURITY, "CHAP_A=5\n");
        initiator.login(number, SECURITY_DONE, answer(challenge, chap));
        initiator.login(number, LOGIN_FLAGS, OPERATIONAL_KEYS);
      }
      // The first command of a session meets the unit attention that reports the power-on.
      initiator.testUnitReady();
      initiator.testUnitReady();
    } catch (IOException e) {
      initiator.close();
      throw e;
    }
    return initiator;
  }

  /** CHAP with MD5 (RFC 1994 4.1): of the identifier, the secret and the challenge. */
  private static String answer(Map<String, String> challenge, Chap chap) throws IOException {
    String identifier = challenge.get("CHAP_I");
    String sent = challenge.get("CHAP_C");
    if (identifier == null || sent == null || !sent.startsWith("0x")) {
      throw new IOException("no challenge but " + challenge.keySet());
    }
    try {
      MessageDigest md5 = MessageDigest.getInstance("MD5");
      md5.update((byte) Integer.parseInt(identifier));
      md5.update(chap.secret.getBytes(StandardCharsets.UTF_8));
      String response =
          HexFormat.of().formatHex(md5.digest(HexFormat.of().parseHex(sent, 2, sent.length())));
      return "CHAP_N=" + chap.username + "\nCHAP_R=0x" + response + "\n";
    } catch (NoSuchAlgorithmException e) {
      throw new IOException("this JDK has no MD5", e);
    }
  }

  /**
   * One request of the login phase, its keys one a line.
   *
   * @return the keys of the response
   */
  private Map<String, String> login(int number, int flags, String keys) throws IOException {
    byte[] data = keys.replace('\n', '\0').getBytes(StandardCharsets.US_ASCII);
    int header = begin(OPCODE_LOGIN_IMMEDIATE, flags);
    out.putInt(header + 4, data.length);
    // ISID of the random type (RFC 7143 11.12.5), then TSIH 0.
    out.put(header + 8, (byte) 0x80);
    out.putInt(header + 9, number);
    out.putInt(header + 24, cmdSn);
    out.putInt(header + 28, expStatSn);
    out.put(data).put(new byte[-data.length & 3]);
    send();
    int response = receive();
    if (opcode(response) != OPCODE_LOGIN_RESPONSE || in.getShort(response + 36) != 0) {
      throw new IOException(
          "login of session %d answered by opcode 0x%x, status 0x%04x"
              .formatted(number, opcode(response), in.getShort(response + 36)));
    }
    expStatSn = in.getInt(response + 24) + 1;
    byte[] text = new byte[in.getInt(response + 4) & 0xffffff];
    in.get(response + HEADER_BYTES, text);
    consume(response);
    Map<String, String> answered = new HashMap<>();
    for (String pair : new String(text, StandardCharsets.US_ASCII).split("\0", -1)) {
      int equals = pair.indexOf('=');
      if (equals > 0) {
        answered.put(pair.substring(0, equals), pair.substring(equals + 1));
      }
    }
    return answered;
  }

  /** TEST UNIT READY, whose CDB is all zeroes. */
  private void testUnitReady() throws IOException {
    putCommand(begin(OPCODE_SCSI_COMMAND, FINAL), 0);
    send();
    awaitStatus();
  }

  /** Queues a READ (10); {@link #send} puts everything queued on the wire. */
  void queueRead(long lba, int blocks, int blockBytes) {
    int header = begin(OPCODE_SCSI_COMMAND, FINAL | READ);
    putCommand(header, blocks * blockBytes);
    out.put(header + 32, READ_10);
    out.putInt(header + 34, (int) lba);
    out.putShort(header + 39, (short) blocks);
  }

  /** WRITE (10) of at most 4 KiB as immediate data; returns when the target has answered. */
  void write(long offsetBytes, ByteBuffer data) throws IOException {
    int bytes = data.remaining();
    int header = begin(OPCODE_SCSI_COMMAND, FINAL | WRITE);
    putCommand(header, bytes);
    out.putInt(header + 4, bytes);
    out.put(header + 32, WRITE_10);
    out.putInt(header + 34, (int) (offsetBytes / SECTOR_BYTES));
    out.putShort(header + 39, (short) (bytes / SECTOR_BYTES));
    out.put(data);
    send();
    awaitStatus();
  }

  private void putCommand(int header, int transferBytes) {
    out.putInt(header + 16, nextTag++);
    out.putInt(header + 20, transferBytes);
    out.putInt(header + 24, cmdSn++);
    out.putInt(header + 28, expStatSn);
  }

  private int begin(int opcode, int flags) {
    int header = out.position();
    for (int i = 0; i < HEADER_BYTES; i += Long.BYTES) {
      out.putLong(0);
    }
    out.put(header, (byte) opcode);
    out.put(header + 1, (byte) flags);
    return header;
  }

  void send() throws IOException {
    out.flip();
    while (out.hasRemaining()) {
      channel.write(out);
    }
    out.clear();
  }

  /** Waits until one command has ended with GOOD; answers the target's pings meanwhile. */
  void awaitStatus() throws IOException {
    while (true) {
      int header = receive();
      int opcode = opcode(header);
      boolean ended = false;
      boolean good = true;
      if (opcode == OPCODE_SCSI_RESPONSE) {
        ended = true;
        // A unit attention is expected once; everything else but GOOD is not.
        good = in.get(header + 3) == 0 || cmdSn <= 3;
        expStatSn = in.getInt(header + 24) + 1;
      } else if (opcode == OPCODE_DATA_IN) {
        ended = (in.get(header + 1) & STATUS_IN_DATA) != 0;
        if (ended) {
          expStatSn = in.getInt(header + 24) + 1;
        }
      } else if (opcode == OPCODE_NOP_IN) {
        answerPing(header);
      } else {
        throw new IOException("unexpected opcode 0x%x".formatted(opcode));
      }
      consume(header);
      if (!good) {
        throw new IOException("a command ended with another status than GOOD");
      }
      if (ended) {
        return;
      }
    }
  }

  private void answerPing(int header) throws IOException {
    int targetTag = in.getInt(header + 20);
    if (targetTag == UNSOLICITED) {
      return;
    }
    int answer = begin(OPCODE_NOP_OUT_IMMEDIATE, FINAL);
    out.putInt(answer + 16, UNSOLICITED);
    out.putInt(answer + 20, targetTag);
    out.putInt(answer + 24, cmdSn);
    out.putInt(answer + 28, expStatSn);
    send();
  }

  private int opcode(int header) {
    return in.get(header) & 0x3f;
  }

  /** Offset of the next complete PDU in {@link #in}; it stays there until {@link #consume}. */
  private int receive() throws IOException {
    while (!complete()) {
      if (in.limit() == in.capacity() || !in.hasRemaining()) {
        in.compact().flip();
      }
      int readable = in.position();
      int end = in.limit();
      in.position(end).limit(in.capacity());
      int read = channel.read(in);
      in.limit(in.position()).position(readable);
      if (read < 0) {
        throw new EOFException("the target closed the connection");
      }
    }
    return in.position();
  }

  private boolean complete() {
    return in.remaining() >= HEADER_BYTES && in.remaining() >= pduBytes(in.position());
  }

  private int pduBytes(int header) {
    int dataBytes = in.getInt(header + 4) & 0xffffff;
    return HEADER_BYTES + (dataBytes + 3 & ~3);
  }

  private void consume(int header) {
    in.position(header + pduBytes(header));
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
