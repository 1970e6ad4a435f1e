package io.malleable.iscsi;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Locale;

/**
 * An initiator port seen through one target port (SAM-5 4.6.5).
 *
 * @param isid the 48 bits by which an initiator tells its sessions apart (RFC 7143 11.12.5)
 * @param relativeTargetPort equals the portal group tag
 */
record Nexus(String initiatorName, long isid, int relativeTargetPort) {
  /** SPC-4 7.6.4.6. */
  private static final int MIN_TRANSPORT_ID_BYTES = 24;

  /** TransportID of the initiator port, format 01b: name, separator and ISID (SPC-4 7.6.4.6). */
  byte[] transportId() {
    String port = initiatorName + ",i,0x" + HexFormat.of().toHexDigits(isid, 12);
    byte[] text = port.toLowerCase(Locale.ROOT).getBytes(StandardCharsets.UTF_8);
    int length = Math.max(MIN_TRANSPORT_ID_BYTES, 4 + Bhs.padded(text.length + 1));
    ByteBuffer id = ByteBuffer.allocate(length);
    id.put(0, (byte) 0x45);
    id.putShort(2, (short) (length - 4));
    id.put(4, text);
    return id.array();
  }
}
