package io.malleable.iscsi;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Text parameters (RFC 7143 6.1): {@code key=value} pairs, each ended by a zero byte, collected
 * over the PDUs of one request and bounded in number and size.
 */
final class TextKeys {
  /** RFC 7143 6.1: a key name has at most 63 bytes. */
  private static final int MAX_KEY_CHARS = 63;

  /**
   * RFC 7143 6.1: a value has at most 255 bytes unless the key says otherwise; none of ours does.
   */
  private static final int MAX_VALUE_BYTES = 8192;

  static final int MAX_KEYS = 64;
  static final int MAX_TEXT_BYTES = 16 * 1024;

  private final ByteArrayOutputStream pending = new ByteArrayOutputStream();

  /** Takes one data segment of a request that may go on in further PDUs (C bit). */
  void append(ByteBuffer buffer, int offset, int lengthBytes) throws ProtocolException {
    if (pending.size() + lengthBytes > MAX_TEXT_BYTES) {
      throw new ProtocolException("text of more than " + MAX_TEXT_BYTES + " bytes");
    }
    byte[] bytes = new byte[lengthBytes];
    buffer.get(offset, bytes);
    pending.write(bytes, 0, lengthBytes);
  }

  /** Forgets a request that was given up before it was complete. */
  void reset() {
    pending.reset();
  }

  /** The pairs of the complete request, in the order in which they came; starts anew. */
  Map<String, String> take() throws ProtocolException {
    byte[] text = pending.toByteArray();
    pending.reset();
    return parse(text);
  }

  static Map<String, String> parse(byte[] text) throws ProtocolException {
    Map<String, String> keys = new LinkedHashMap<>();
    int at = 0;
    while (at < text.length) {
      int stop = at;
      while (stop < text.length && text[stop] != 0) {
        stop++;
      }
      // Some initiators leave out the last delimiter, some add padding to the length: tolerated.
      if (stop > at) {
        addPair(keys, text, at, stop);
      }
      at = stop + 1;
    }
    return keys;
  }

  private static void addPair(Map<String, String> keys, byte[] text, int from, int to)
      throws ProtocolException {
    int equals = from;
    while (equals < to && text[equals] != '=') {
      equals++;
    }
    if (equals == to || equals == from || equals - from > MAX_KEY_CHARS) {
      throw new ProtocolException("text parameter without a key of 1 to 63 bytes and '='");
    }
    if (to - equals - 1 > MAX_VALUE_BYTES) {
      throw new ProtocolException("text value of more than " + MAX_VALUE_BYTES + " bytes");
    }
    for (int i = from; i < equals; i++) {
      if (text[i] <= 0x20 || text[i] >= 0x7f) {
        throw new ProtocolException("text key with a byte outside printable ASCII");
      }
    }
    String key = new String(text, from, equals - from, StandardCharsets.US_ASCII);
    String value = decode(text, equals + 1, to - equals - 1);
    if (keys.size() >= MAX_KEYS) {
      throw new ProtocolException("more than " + MAX_KEYS + " text keys");
    }
    if (keys.putIfAbsent(key, value) != null) {
      // RFC 7143 6.2: a key is negotiated once.
      throw new ProtocolException("text key " + key + " twice");
    }
  }

  private static String decode(byte[] text, int offset, int lengthBytes) throws ProtocolException {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(text, offset, lengthBytes))
          .toString();
    } catch (CharacterCodingException e) {
      throw new ProtocolException("text value that is not UTF-8: " + e.getMessage());
    }
  }

  static byte[] encode(Map<String, String> keys) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    keys.forEach((key, value) -> write(out, key, value));
    return out.toByteArray();
  }

  static void write(ByteArrayOutputStream out, String key, String value) {
    byte[] pair = (key + "=" + value).getBytes(StandardCharsets.UTF_8);
    out.write(pair, 0, pair.length);
    out.write(0);
  }
}
