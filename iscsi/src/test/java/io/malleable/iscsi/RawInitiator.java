package io.malleable.iscsi;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * An initiator that sends exactly the bytes it is told to, right or wrong. It shares no code with
 * the server, but for the parsing of text answers.
 */
final class RawInitiator implements AutoCloseable {
  /** One received PDU. */
  static final class Pdu {
    private final ByteBuffer header;
    private final byte[] data;

    Pdu(ByteBuffer header, byte[] data) {
      this.header = header;
      this.data = data;
    }

    ByteBuffer header() {
      return header;
    }

    byte[] data() {
      return data;
    }

    int opcode() {
      return header.get(0) & 0x3f;
    }

    int flags() {
      return header.get(1) & 0xff;
    }

    int scsiStatus() {
      return header.get(3) & 0xff;
    }

    int loginStatus() {
      return header.getShort(36) & 0xffff;
    }

    /** Sense key and additional sense code, as {@code 0xKAAQQ}; fixed format. */
    int sense() {
      return ((data[4] & 0xf) << 16) | ((data[14] & 0xff) << 8) | (data[15] & 0xff);
    }
  }

  private final Socket socket;
  private final DataInputStream in;
  private final OutputStream out;
  private boolean headerDigest;
  private boolean dataDigest;
  private int damageAt = -1;
  int cmdSn = 1;
  int expStatSn;
  int nextTag = 1;
  long isid = 0x00023d000001L;

  RawInitiator(InetSocketAddress address) throws IOException {
    this(address, InetAddress.getLoopbackAddress());
  }

  RawInitiator(InetSocketAddress address, InetAddress from) throws IOException {
    socket = new Socket();
    socket.bind(new InetSocketAddress(from, 0));
    socket.connect(address, 10_000);
    // A generous deadline: a test that waits for something that never comes must end.
    socket.setSoTimeout(120_000);
    socket.setTcpNoDelay(true);
    in = new DataInputStream(socket.getInputStream());
    out = socket.getOutputStream();
  }

  /** Logged in to the test server's target without authentication. */
  static RawInitiator loggedIn(TestServer server, String... keys) throws IOException {
    RawInitiator initiator = new RawInitiator(server.address());
    initiator.login(TestServer.INITIATOR, keys);
    return initiator;
  }

  int localPort() {
    return socket.getLocalPort();
  }

  /** One login request straight into the full feature phase. */
  Pdu login(String name, String... keys) throws IOException {
    Map<String, String> text = new LinkedHashMap<>();
    text.put("InitiatorName", name);
    text.put("TargetName", TestServer.TARGET);
    for (String key : keys) {
      text.put(key.substring(0, key.indexOf('=')), key.substring(key.indexOf('=') + 1));
    }
    Pdu answer = loginRequest(0x87, text(text));
    if (answer.loginStatus() == 0) {
      Map<String, String> agreed = TextKeys.parse(answer.data());
      headerDigest = "CRC32C".equals(agreed.get("HeaderDigest"));
      dataDigest = "CRC32C".equals(agreed.get("DataDigest"));
    }
    return answer;
  }

  Pdu loginRequest(int flags, byte[] data) throws IOException {
    sendLogin(flags, data);
    return receive();
  }

  void sendLogin(int flags, byte[] data) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(48);
    header.put(0, (byte) 0x43).put(1, (byte) flags).putLong(8, isid << 16);
    header.putInt(16, 0).putInt(24, cmdSn).putInt(28, expStatSn);
    send(header, data);
  }

  static byte[] text(Map<String, String> keys) {
    StringBuilder text = new StringBuilder();
    keys.forEach((key, value) -> text.append(key).append('=').append(value).append('\0'));
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  /** A SCSI command header with the next CmdSN and tag, which the caller may change. */
  ByteBuffer command(int flags, int expectedBytes, byte[] cdb) {
    ByteBuffer header = ByteBuffer.allocate(48);
    header.put(0, (byte) 0x01).put(1, (byte) flags);
    header.putInt(16, nextTag++).putInt(20, expectedBytes);
    header.putInt(24, cmdSn++).putInt(28, expStatSn).put(32, cdb);
    return header;
  }

  static byte[] read10(int lba, int blocks) {
    return ByteBuffer.allocate(16)
        .put((byte) 0x28)
        .put((byte) 0)
        .putInt(lba)
        .put((byte) 0)
        .putShort((short) blocks)
        .array();
  }

  static byte[] write10(int lba, int blocks) {
    byte[] cdb = read10(lba, blocks);
    cdb[0] = 0x2a;
    return cdb;
  }

  /** Consumes the unit attention that every new session has. */
  RawInitiator ready() throws IOException {
    Pdu answer = execute(new byte[16]);
    if (answer.scsiStatus() == 0) {
      throw new IOException("no unit attention after login");
    }
    return this;
  }

  /** A command without data. */
  Pdu execute(byte[] cdb) throws IOException {
    send(command(0x80, 0, cdb), new byte[0]);
    return receive();
  }

  /** Reads and returns all data; the status must be good. */
  byte[] read(int lba, int blocks, int blockBytes) throws IOException {
    int total = blocks * blockBytes;
    send(command(0xc0, total, read10(lba, blocks)), new byte[0]);
    ByteBuffer data = ByteBuffer.allocate(total);
    while (true) {
      Pdu pdu = receive();
      if (pdu.opcode() != 0x25) {
        throw new IOException("status " + pdu.scsiStatus() + " instead of data");
      }
      data.put(pdu.header().getInt(40), pdu.data());
      if ((pdu.flags() & 0x01) != 0) {
        return data.array();
      }
    }
  }

  /** What a command returns in one PDU; the status must be good. */
  byte[] parameterData(byte[] cdb, int allocationBytes) throws IOException {
    send(command(0xc0, allocationBytes, cdb), new byte[0]);
    Pdu pdu = receive();
    if (pdu.opcode() != 0x25 || (pdu.flags() & 0x01) == 0 || pdu.scsiStatus() != 0) {
      throw new IOException("opcode " + pdu.opcode() + ", status " + pdu.scsiStatus());
    }
    return pdu.data();
  }

  /** Writes with immediate data. */
  Pdu write(int lba, byte[] data, int blockBytes) throws IOException {
    send(command(0xa0, data.length, write10(lba, data.length / blockBytes)), data);
    return receive();
  }

  ByteBuffer dataOut(int tag, int transferTag, int dataSn, int offset, boolean last) {
    ByteBuffer header = ByteBuffer.allocate(48);
    header.put(0, (byte) 0x05).put(1, (byte) (last ? 0x80 : 0));
    header.putInt(16, tag).putInt(20, transferTag).putInt(28, expStatSn);
    return header.putInt(36, dataSn).putInt(40, offset);
  }

  Pdu taskManagement(int function, int referencedTag) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(48);
    header.put(0, (byte) 0x42).put(1, (byte) (0x80 | function));
    header.putInt(16, nextTag++).putInt(20, referencedTag).putInt(24, cmdSn);
    send(header, new byte[0]);
    return receive();
  }

  Pdu logout() throws IOException {
    return logout(0, 0);
  }

  /** Logout for a reason of RFC 7143 11.14.1, of the connection with that identifier. */
  Pdu logout(int reason, int connectionId) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(48);
    header.put(0, (byte) 0x46).put(1, (byte) (0x80 | reason)).putInt(16, nextTag++);
    header.putShort(20, (short) connectionId).putInt(24, cmdSn);
    send(header, new byte[0]);
    return receive();
  }

  /** Sets the length in the header and adds digests and padding as negotiated. */
  void send(ByteBuffer header, byte[] data) throws IOException {
    header.putInt(4, data.length);
    byte[] bytes = new byte[48];
    header.get(0, bytes);
    ByteArrayOutputStream pdu = new ByteArrayOutputStream();
    pdu.writeBytes(bytes);
    if (headerDigest) {
      pdu.writeBytes(crc(bytes));
    }
    byte[] padded = Arrays.copyOf(data, (data.length + 3) & ~3);
    pdu.writeBytes(padded);
    if (dataDigest && data.length > 0) {
      pdu.writeBytes(crc(padded));
    }
    byte[] whole = pdu.toByteArray();
    if (damageAt >= 0) {
      whole[damageAt] ^= 1;
    }
    sendBytes(whole);
  }

  /** Like {@link #send}, but what comes at {@code at} of the whole PDU differs in one bit. */
  void sendDamaged(ByteBuffer header, byte[] data, int at) throws IOException {
    damageAt = at;
    try {
      send(header, data);
    } finally {
      damageAt = -1;
    }
  }

  /** No more will be sent; what the target sends can still be received. */
  void endOutput() throws IOException {
    socket.shutdownOutput();
  }

  /** The header as it is, with nothing after it. */
  void sendHeader(ByteBuffer header) throws IOException {
    byte[] bytes = new byte[48];
    header.get(0, bytes);
    sendBytes(bytes);
  }

  void sendBytes(byte[] bytes) throws IOException {
    out.write(bytes);
    out.flush();
  }

  private static byte[] crc(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return ByteBuffer.allocate(4).putInt(Integer.reverseBytes((int) crc.getValue())).array();
  }

  /** Whether something has come that was not received yet. */
  boolean isAnswered() throws IOException {
    return in.available() > 0;
  }

  Pdu receive() throws IOException {
    byte[] header = in.readNBytes(48);
    if (header.length < 48) {
      throw new EOFException("closed by the target");
    }
    if (headerDigest && !Arrays.equals(in.readNBytes(4), crc(header))) {
      throw new IOException("header digest of the target is wrong");
    }
    ByteBuffer parsed = ByteBuffer.wrap(header);
    int length = parsed.getInt(4) & 0xffffff;
    byte[] padded = in.readNBytes((length + 3) & ~3);
    if (dataDigest && length > 0 && !Arrays.equals(in.readNBytes(4), crc(padded))) {
      throw new IOException("data digest of the target is wrong");
    }
    return new Pdu(parsed, Arrays.copyOf(padded, length));
  }

  /** Whether the target closes the connection, whatever it says before. */
  boolean isCutOff() throws IOException {
    try {
      while (true) {
        receive();
      }
    } catch (EOFException | SocketException e) {
      return true;
    }
  }

  /** Whether the target closes the connection and sends nothing before. */
  boolean endsWithoutAWord() throws IOException {
    try {
      return in.read() < 0;
    } catch (SocketException e) {
      return true;
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
