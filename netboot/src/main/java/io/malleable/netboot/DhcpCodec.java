package io.malleable.netboot;

import io.malleable.netboot.DhcpPacket.Op;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * DHCP messages as bytes (RFC 2131 2, RFC 2132 2, RFC 3396).
 *
 * <pre>
 *    0               1               2               3
 *   +---------------+---------------+---------------+---------------+
 *  0|     op        |    htype      |     hlen      |     hops      |
 *   +---------------+---------------+---------------+---------------+
 *  4|                              xid                              |
 *   +-------------------------------+-------------------------------+
 *  8|             secs              |             flags             |
 *   +-------------------------------+-------------------------------+
 * 12|                             ciaddr                            |
 * 16|                             yiaddr                            |
 * 20|                             siaddr                            |
 * 24|                             giaddr                            |
 * 28|                             chaddr (16)                       |
 * 44|                             sname  (64)                       |
 * 108|                             file   (128)                      |
 * 236|                             magic cookie 63 82 53 63          |
 * 240|                             options                           |
 * </pre>
 */
final class DhcpCodec {
  /** Larger datagrams are not DHCP: the options of real clients fill a few hundred octets. */
  static final int MAX_DATAGRAM_BYTES = 1500;

  private static final int OP = 0;
  private static final int HTYPE = 1;
  private static final int HLEN = 2;
  private static final int HOPS = 3;
  private static final int XID = 4;
  private static final int SECS = 8;
  private static final int FLAGS = 10;
  private static final int CIADDR = 12;
  private static final int YIADDR = 16;
  private static final int SIADDR = 20;
  private static final int GIADDR = 24;
  private static final int CHADDR = 28;
  private static final int SNAME = 44;
  private static final int SNAME_BYTES = 64;
  private static final int FILE = 108;
  private static final int FILE_BYTES = 128;
  private static final int COOKIE = 236;
  private static final int OPTIONS = 240;

  private static final int MAGIC_COOKIE = 0x63825363;
  private static final int ETHERNET = 1;
  private static final int MAC_BYTES = 6;
  private static final int BROADCAST_FLAG = 0x8000;
  private static final int MAX_OPTION_BYTES = 255;

  /** BOOTP's size: some relays and firmware drop what is shorter. */
  private static final int MIN_MESSAGE_BYTES = 300;

  private static final int FILE_HAS_OPTIONS = 1;
  private static final int SNAME_HAS_OPTIONS = 2;

  private DhcpCodec() {}

  /**
   * Reads one datagram from the buffer's position to its limit.
   *
   * @throws DhcpFormatException when it is not a DHCP message over Ethernet
   */
  static DhcpPacket decode(ByteBuffer datagram) throws DhcpFormatException {
    ByteBuffer in = datagram.slice();
    if (in.remaining() < OPTIONS) {
      throw new DhcpFormatException("too short: " + in.remaining() + " octets");
    }
    if (in.remaining() > MAX_DATAGRAM_BYTES) {
      throw new DhcpFormatException("too long: " + in.remaining() + " octets");
    }
    Op op =
        switch (in.get(OP)) {
          case 1 -> Op.BOOTREQUEST;
          case 2 -> Op.BOOTREPLY;
          default -> throw new DhcpFormatException("op " + in.get(OP));
        };
    if (in.get(HTYPE) != ETHERNET || in.get(HLEN) != MAC_BYTES) {
      throw new DhcpFormatException("hardware type %d/%d".formatted(in.get(HTYPE), in.get(HLEN)));
    }
    if (in.getInt(COOKIE) != MAGIC_COOKIE) {
      throw new DhcpFormatException("magic cookie " + Integer.toHexString(in.getInt(COOKIE)));
    }
    byte[] mac = new byte[MAC_BYTES];
    in.get(CHADDR, mac);

    DhcpOptions.Builder options = DhcpOptions.builder();
    int overload = readOptions(in, OPTIONS, in.limit() - OPTIONS, options);
    boolean fileHasOptions = (overload & FILE_HAS_OPTIONS) != 0;
    boolean snameHasOptions = (overload & SNAME_HAS_OPTIONS) != 0;
    // RFC 3396 5: the options field, then file, then sname.
    if (fileHasOptions) {
      readOptions(in, FILE, FILE_BYTES, options);
    }
    if (snameHasOptions) {
      readOptions(in, SNAME, SNAME_BYTES, options);
    }
    return new DhcpPacket(
        op,
        in.get(HOPS) & 0xff,
        in.getInt(XID),
        in.getShort(SECS) & 0xffff,
        (in.getShort(FLAGS) & BROADCAST_FLAG) != 0,
        new Ipv4(in.getInt(CIADDR)),
        new Ipv4(in.getInt(YIADDR)),
        new Ipv4(in.getInt(SIADDR)),
        new Ipv4(in.getInt(GIADDR)),
        MacAddress.of(mac),
        snameHasOptions ? "" : text(in, SNAME, SNAME_BYTES),
        fileHasOptions ? "" : text(in, FILE, FILE_BYTES),
        options.build());
  }

  /** Reads one field of options; returns the overload bits it found. */
  private static int readOptions(
      ByteBuffer in, int offset, int lengthBytes, DhcpOptions.Builder options)
      throws DhcpFormatException {
    int overload = 0;
    int at = offset;
    int end = offset + lengthBytes;
    while (at < end) {
      int code = in.get(at++) & 0xff;
      if (code == DhcpOptions.PAD) {
        continue;
      }
      if (code == DhcpOptions.END) {
        return overload;
      }
      if (at >= end || at + 1 + (in.get(at) & 0xff) > end) {
        throw new DhcpFormatException("option " + code + " is cut off");
      }
      byte[] value = new byte[in.get(at) & 0xff];
      in.get(at + 1, value);
      at += 1 + value.length;
      if (code == DhcpOptions.OVERLOAD) {
        overload |= value.length == 1 ? value[0] & 3 : 0;
      } else {
        options.add(code, value);
      }
    }
    // RFC 2131 3 wants an end option; firmware that leaves it out is understood all the same.
    return overload;
  }

  /** The message as a datagram; padded to the length that old relays expect. */
  static byte[] encode(DhcpPacket packet) {
    ByteBuffer out = ByteBuffer.allocate(MAX_DATAGRAM_BYTES);
    out.put(OP, (byte) packet.op().code);
    out.put(HTYPE, (byte) ETHERNET);
    out.put(HLEN, (byte) MAC_BYTES);
    out.put(HOPS, (byte) packet.hops());
    out.putInt(XID, packet.xid());
    out.putShort(SECS, (short) packet.secs());
    out.putShort(FLAGS, (short) (packet.broadcast() ? BROADCAST_FLAG : 0));
    out.putInt(CIADDR, packet.ciaddr().value());
    out.putInt(YIADDR, packet.yiaddr().value());
    out.putInt(SIADDR, packet.siaddr().value());
    out.putInt(GIADDR, packet.giaddr().value());
    out.put(CHADDR, packet.chaddr().octets());
    putText(out, SNAME, SNAME_BYTES, packet.sname());
    putText(out, FILE, FILE_BYTES, packet.file());
    out.putInt(COOKIE, MAGIC_COOKIE);
    out.position(OPTIONS);
    // The message type first: some firmware looks no further for it.
    packet
        .options()
        .octets(DhcpOptions.MESSAGE_TYPE)
        .ifPresent(value -> putOption(out, DhcpOptions.MESSAGE_TYPE, value));
    packet
        .options()
        .forEach((code, value) -> {
          if (code != DhcpOptions.MESSAGE_TYPE && code != DhcpOptions.RELAY_AGENT_INFORMATION) {
            putOption(out, code, value);
          }
        });
    // RFC 3046 2.2: the relay's option comes last.
    packet
        .options()
        .octets(DhcpOptions.RELAY_AGENT_INFORMATION)
        .ifPresent(value -> putOption(out, DhcpOptions.RELAY_AGENT_INFORMATION, value));
    out.put((byte) DhcpOptions.END);
    byte[] datagram = new byte[Math.max(MIN_MESSAGE_BYTES, out.position())];
    out.get(0, datagram, 0, out.position());
    return datagram;
  }

  private static void putOption(ByteBuffer out, int code, byte[] value) {
    int at = 0;
    do {
      int lengthBytes = Math.min(MAX_OPTION_BYTES, value.length - at);
      out.put((byte) code).put((byte) lengthBytes).put(value, at, lengthBytes);
      at += lengthBytes;
    } while (at < value.length);
  }

  private static String text(ByteBuffer in, int offset, int lengthBytes) {
    int length = 0;
    while (length < lengthBytes && in.get(offset + length) != 0) {
      length++;
    }
    byte[] octets = new byte[length];
    in.get(offset, octets);
    return new String(octets, StandardCharsets.ISO_8859_1);
  }

  private static void putText(ByteBuffer out, int offset, int lengthBytes, String text) {
    byte[] octets = text.getBytes(StandardCharsets.ISO_8859_1);
    if (octets.length >= lengthBytes) {
      throw new IllegalArgumentException("longer than its field of " + lengthBytes + ": " + text);
    }
    out.put(offset, octets);
  }
}
