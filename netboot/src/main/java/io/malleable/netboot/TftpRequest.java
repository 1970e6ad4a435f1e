package io.malleable.netboot;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A read request (RFC 1350 5, RFC 2347).
 *
 * @param file as the client spells it, without leading slashes
 * @param netascii whether lines end with CR LF on the wire
 * @param options in lower case, in the order of the request; only those known here
 */
record TftpRequest(String file, boolean netascii, Map<String, Long> options) {
  static final String BLOCK_SIZE = "blksize"; // RFC 2348
  static final String TIMEOUT = "timeout"; // RFC 2349
  static final String TRANSFER_SIZE = "tsize"; // RFC 2349
  static final String WINDOW_SIZE = "windowsize"; // RFC 7440

  static final int RRQ = 1;
  static final int WRQ = 2;
  static final int DATA = 3;
  static final int ACK = 4;
  static final int ERROR = 5;
  static final int OACK = 6;

  private static final int MAX_REQUEST_BYTES = 512;
  private static final int MAX_STRINGS = 32;

  /** A block that fits into an Ethernet frame with its headers: larger ones come in fragments. */
  private static final int MAX_BLOCK_BYTES = 1468;

  private static final int MAX_WINDOW = 64;
  private static final int MAX_TIMEOUT_SECONDS = 30;

  /**
   * Reads a request datagram.
   *
   * @throws TftpErrorException with what the client is told
   */
  static TftpRequest parse(byte[] datagram, int lengthBytes) throws TftpErrorException {
    if (lengthBytes < 2 || lengthBytes > MAX_REQUEST_BYTES) {
      throw new TftpErrorException(TftpErrorException.ILLEGAL_OPERATION, "not a request");
    }
    int opcode = (datagram[0] & 0xff) << 8 | (datagram[1] & 0xff);
    if (opcode == WRQ) {
      throw new TftpErrorException(TftpErrorException.ACCESS_VIOLATION, "this server is read-only");
    }
    List<String> strings = strings(datagram, lengthBytes);
    if (opcode != RRQ || strings.size() < 2) {
      throw new TftpErrorException(TftpErrorException.ILLEGAL_OPERATION, "not a read request");
    }
    boolean netascii =
        switch (strings.get(1).toLowerCase(Locale.ROOT)) {
          case "octet" -> false;
          case "netascii" -> true;
          default ->
              throw new TftpErrorException(
                  TftpErrorException.ILLEGAL_OPERATION, "mode must be octet or netascii");
        };
    Map<String, Long> options = new LinkedHashMap<>();
    for (int i = 2; i + 1 < strings.size(); i += 2) {
      accept(strings.get(i).toLowerCase(Locale.ROOT), strings.get(i + 1), options);
    }
    return new TftpRequest(fileName(strings.getFirst()), netascii, options);
  }

  /** Some boot ROMs take the end mark of the DHCP options for the name's last character. */
  private static String fileName(String text) {
    String name = text.endsWith("\u00ff") ? text.substring(0, text.length() - 1) : text;
    return name.replaceFirst("^[/\\\\]+", "");
  }

  /** Takes an option up with the value that we answer; what we do not know is left out. */
  private static void accept(String name, String text, Map<String, Long> options) {
    if (!text.matches("\\d{1,9}")) {
      return;
    }
    long value = Long.parseLong(text);
    switch (name) {
      case BLOCK_SIZE -> {
        if (value >= 8) {
          options.put(name, Math.min(value, MAX_BLOCK_BYTES));
        }
      }
      case WINDOW_SIZE -> {
        if (value >= 1) {
          options.put(name, Math.min(value, MAX_WINDOW));
        }
      }
      case TIMEOUT -> {
        // RFC 2349: the value cannot be changed, only taken or left.
        if (value >= 1 && value <= MAX_TIMEOUT_SECONDS) {
          options.put(name, value);
        }
      }
      case TRANSFER_SIZE -> options.put(name, value);
      default -> {}
    }
  }

  private static List<String> strings(byte[] datagram, int lengthBytes) {
    List<String> strings = new ArrayList<>();
    int start = 2;
    for (int i = 2; i < lengthBytes && strings.size() < MAX_STRINGS; i++) {
      if (datagram[i] == 0) {
        strings.add(new String(datagram, start, i - start, StandardCharsets.ISO_8859_1));
        start = i + 1;
      }
    }
    return strings;
  }
}
