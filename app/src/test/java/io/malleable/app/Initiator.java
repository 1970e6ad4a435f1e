package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/**
 * An initiator of a machine that lives on when its target dies: it logs in as the same session
 * again, and what it sent before may or may not have been done. Many commands at a time, with all
 * their data in the command's own PDU. It shares no code with the server. One thread uses it.
 */
final class Initiator implements AutoCloseable {
  /** Of one command, in either direction: what the target takes without being asked for it. */
  static final int MAX_DATA_BYTES = 1 << 16;

  static final int GOOD = 0;
  static final int CHECK_CONDITION = 0x02;
  static final int BUSY = 0x08;
  static final int TASK_SET_FULL = 0x28;
  static final int UNIT_ATTENTION = 0x6;

  private static final int HEADER_BYTES = 48;
  private static final int NOP_OUT_IMMEDIATE = 0x40;
  private static final int SCSI_COMMAND = 0x01;
  private static final int LOGIN_IMMEDIATE = 0x43;
  private static final int NOP_IN = 0x20;
  private static final int SCSI_RESPONSE = 0x21;
  private static final int LOGIN_RESPONSE = 0x23;
  private static final int DATA_IN = 0x25;
  private static final int ASYNCHRONOUS_MESSAGE = 0x32;

  private static final int FINAL = 0x80;
  private static final int READ = 0x40;
  private static final int WRITE = 0x20;
  private static final int STATUS_IN_DATA = 0x01;
  private static final int NO_TAG = 0xffffffff;

  /** Of a login request: the current stage and, with the transit bit, the next one. */
  private static final int SECURITY = 0;

  private static final int SECURITY_TO_OPERATIONAL = 0x81;
  private static final int OPERATIONAL_TO_FULL = 0x87;

  /** The random format (RFC 7143 11.12.5) and a number of ours. */
  private static final long ISID = 0x8000_4d32_0001L;

  private static final String OPERATIONAL_KEYS =
      """
      HeaderDigest=None
      DataDigest=None
      MaxRecvDataSegmentLength=65536
      MaxBurstLength=262144
      FirstBurstLength=65536
      InitialR2T=No
      ImmediateData=Yes
      """;

  /** For a test that waits for something that never comes. */
  private static final int SILENCE_MILLIS = 120_000;

  private static final int CONNECT_MILLIS = 10_000;

  private final Socket socket = new Socket();
  private final Map<Integer, ByteBuffer> reads = new HashMap<>();
  private final DataInputStream in;
  private final OutputStream out;
  private int cmdSn = 1;
  private int expStatSn;
  private int nextTag = 1;

  /** How a command ended. */
  static final class Answer {
    private final int tag;
    private final int status;
    private final int senseKey;
    private final int code;
    private final byte[] data;

    private Answer(int tag, int status, int senseKey, int code, byte[] data) {
      this.tag = tag;
      this.status = status;
      this.senseKey = senseKey;
      this.code = code;
      this.data = data;
    }

    int tag() {
      return tag;
    }

    int status() {
      return status;
    }

    /** 0 where there is none. */
    int senseKey() {
      return senseKey;
    }

    /** Additional sense code and qualifier; 0 where there is none. */
    int code() {
      return code;
    }

    /** What was read; empty for other commands. */
    byte[] data() {
      return data;
    }

    @Override
    public String toString() {
      return "status %02x, sense %x, code %04x".formatted(status, senseKey, code);
    }
  }

  /** The target refused the login; the status is class and detail (RFC 7143 11.13.5). */
  static final class LoginRefusedException extends IOException {
    private static final long serialVersionUID = 1;

    LoginRefusedException(int status) {
      super("the login was refused with status %04x".formatted(status));
    }
  }

  private Initiator(InetSocketAddress address) throws IOException {
    socket.connect(address, CONNECT_MILLIS);
    socket.setSoTimeout(SILENCE_MILLIS);
    socket.setTcpNoDelay(true);
    in = new DataInputStream(new BufferedInputStream(socket.getInputStream(), 1 << 17));
    out = new BufferedOutputStream(socket.getOutputStream(), 1 << 17);
  }

  /**
   * Logs in, as the only session of an initiator.
   *
   * @param iscsi what the API says of how the disk is reached
   * @param name of the initiator; one that is logged in already is replaced
   */
  static Initiator login(JsonNode iscsi, String name) throws IOException {
    String portal = iscsi.path("portal").asText();
    int colon = portal.lastIndexOf(':');
    InetSocketAddress address =
        new InetSocketAddress(
            portal.substring(0, colon), Integer.parseInt(portal.substring(colon + 1)));
    return login(address, iscsi, name);
  }

  /** The same where the target is reached by another address than it knows. */
  static Initiator login(InetSocketAddress address, JsonNode iscsi, String name)
      throws IOException {
    Initiator initiator = new Initiator(address);
    try {
      initiator.login(
          "InitiatorName=%s\nTargetName=%s\nSessionType=Normal\n"
              .formatted(name, iscsi.path("target").asText()),
          iscsi.path("username").asText(),
          iscsi.path("password").asText());
      // Each new session meets a unit attention.
      Answer first = initiator.execute(Cdb.testUnitReady(), new byte[0], 0);
      if (first.senseKey() != UNIT_ATTENTION) {
        throw new IOException("no unit attention after the login but " + first);
      }
      return initiator;
    } catch (IOException e) {
      initiator.close();
      throw e;
    }
  }

  private void login(String names, String username, String secret) throws IOException {
    login(SECURITY, names + "AuthMethod=CHAP\n");
    Map<String, String> challenge = login(SECURITY, "CHAP_A=5\n");
    String identifier = challenge.getOrDefault("CHAP_I", "");
    String value = challenge.getOrDefault("CHAP_C", "");
    if (identifier.isEmpty() || !value.startsWith("0x")) {
      throw new IOException("no challenge but " + challenge.keySet());
    }
    String response =
        HexFormat.of()
            .formatHex(
                response(
                    Integer.parseInt(identifier),
                    secret,
                    HexFormat.of().parseHex(value, 2, value.length())));
    login(SECURITY_TO_OPERATIONAL, "CHAP_N=%s\nCHAP_R=0x%s\n".formatted(username, response));
    Map<String, String> agreed = login(OPERATIONAL_TO_FULL, OPERATIONAL_KEYS);
    boolean enough =
        agreed.getOrDefault("InitialR2T", "").equals("No")
            && Integer.parseInt(agreed.getOrDefault("MaxRecvDataSegmentLength", "8192"))
                >= MAX_DATA_BYTES;
    if (!enough) {
      throw new IOException("the target wants data in another way: " + agreed);
    }
  }

  /** RFC 1994 4.1. */
  private static byte[] response(int identifier, String secret, byte[] challenge) {
    try {
      MessageDigest md5 = MessageDigest.getInstance("MD5");
      md5.update((byte) identifier);
      md5.update(secret.getBytes(StandardCharsets.US_ASCII));
      return md5.digest(challenge);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has MD5", e);
    }
  }

  /** One request of the login phase, its keys one a line; the keys of the answer. */
  private Map<String, String> login(int flags, String keys) throws IOException {
    byte[] data = keys.replace('\n', '\0').getBytes(StandardCharsets.US_ASCII);
    ByteBuffer header = header(LOGIN_IMMEDIATE, flags);
    header.putLong(8, ISID << 16).putInt(24, cmdSn).putInt(28, expStatSn);
    transmit(header, data);
    out.flush();
    Pdu answer = receivePdu();
    if (answer.opcode() != LOGIN_RESPONSE) {
      throw new IOException("a login was answered by opcode %02x".formatted(answer.opcode()));
    }
    int status = answer.header.getShort(36);
    if (status != 0) {
      throw new LoginRefusedException(status);
    }
    expStatSn = answer.header.getInt(24) + 1;
    Map<String, String> answered = new HashMap<>();
    for (String pair : new String(answer.data, StandardCharsets.US_ASCII).split("\0", -1)) {
      int equals = pair.indexOf('=');
      if (equals > 0) {
        answered.put(pair.substring(0, equals), pair.substring(equals + 1));
      }
    }
    return answered;
  }

  /**
   * Sends a command and does not wait for it.
   *
   * @param dataOut all of it goes with the command
   * @param readBytes that the command reads
   * @return the tag by which {@link #receive} names it
   */
  int send(byte[] cdb, byte[] dataOut, int readBytes) throws IOException {
    int tag = nextTag++;
    int flags = FINAL | (readBytes > 0 ? READ : 0) | (dataOut.length > 0 ? WRITE : 0);
    ByteBuffer header = header(SCSI_COMMAND, flags);
    header.putInt(16, tag).putInt(20, Math.max(readBytes, dataOut.length));
    header.putInt(24, cmdSn++).putInt(28, expStatSn).put(32, cdb);
    reads.put(tag, ByteBuffer.allocate(readBytes));
    transmit(header, dataOut);
    return tag;
  }

  /** Waits for the end of a command, whichever comes first; an end of the connection is thrown. */
  Answer receive() throws IOException {
    out.flush();
    while (true) {
      Pdu pdu = receivePdu();
      switch (pdu.opcode()) {
        case DATA_IN -> {
          ByteBuffer into = expected(pdu);
          into.put(pdu.header.getInt(40), pdu.data);
          if ((pdu.header.get(1) & STATUS_IN_DATA) != 0) {
            return ended(pdu, 0, 0);
          }
        }
        case SCSI_RESPONSE -> {
          // Sense data in the fixed format follow their length.
          boolean sense = pdu.data.length >= 16;
          return ended(
              pdu,
              sense ? pdu.data[4] & 0xf : 0,
              sense ? ByteBuffer.wrap(pdu.data).getShort(14) & 0xffff : 0);
        }
        case NOP_IN -> answerPing(pdu);
        // A target that stops asks for a logout; whoever does not heed it holds it up.
        case ASYNCHRONOUS_MESSAGE -> throw new EOFException("the target ends the session");
        default -> throw new IOException("unexpected opcode %02x".formatted(pdu.opcode()));
      }
    }
  }

  private Answer ended(Pdu pdu, int senseKey, int code) throws IOException {
    ByteBuffer into = expected(pdu);
    byte[] data = new byte[into.capacity()];
    into.get(0, data);
    reads.remove(pdu.tag());
    expStatSn = pdu.header.getInt(24) + 1;
    return new Answer(pdu.tag(), pdu.header.get(3) & 0xff, senseKey, code, data);
  }

  private ByteBuffer expected(Pdu pdu) throws IOException {
    ByteBuffer into = reads.get(pdu.tag());
    if (into == null) {
      throw new IOException("an answer to command %d, which is not open".formatted(pdu.tag()));
    }
    return into;
  }

  /** Sends a command while no other is open, and waits for its end. */
  Answer execute(byte[] cdb, byte[] dataOut, int readBytes) throws IOException {
    send(cdb, dataOut, readBytes);
    return receive();
  }

  private void answerPing(Pdu ping) throws IOException {
    if (ping.header.getInt(20) == NO_TAG) {
      return;
    }
    ByteBuffer answer = header(NOP_OUT_IMMEDIATE, FINAL);
    answer.putInt(16, NO_TAG).putInt(20, ping.header.getInt(20));
    answer.putInt(24, cmdSn).putInt(28, expStatSn);
    transmit(answer, new byte[0]);
    out.flush();
  }

  private static ByteBuffer header(int opcode, int flags) {
    return ByteBuffer.allocate(HEADER_BYTES).put(0, (byte) opcode).put(1, (byte) flags);
  }

  private void transmit(ByteBuffer header, byte[] data) throws IOException {
    byte[] bytes = new byte[HEADER_BYTES];
    header.putInt(4, data.length).get(0, bytes);
    out.write(bytes);
    out.write(data);
    out.write(new byte[-data.length & 3]);
  }

  private Pdu receivePdu() throws IOException {
    byte[] header = in.readNBytes(HEADER_BYTES);
    if (header.length < HEADER_BYTES) {
      throw new EOFException("the target closed the connection");
    }
    ByteBuffer parsed = ByteBuffer.wrap(header);
    int length = parsed.getInt(4) & 0xffffff;
    byte[] data = in.readNBytes(length);
    in.skipNBytes(-length & 3);
    if (data.length < length) {
      throw new EOFException("the target closed the connection");
    }
    return new Pdu(parsed, data);
  }

  private static final class Pdu {
    private final ByteBuffer header;
    private final byte[] data;

    Pdu(ByteBuffer header, byte[] data) {
      this.header = header;
      this.data = data;
    }

    int opcode() {
      return header.get(0) & 0x3f;
    }

    int tag() {
      return header.getInt(16);
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
