package io.malleable.netboot;

import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * An EUI-48 hardware address.
 *
 * @param value the six octets, most significant first, in the low 48 bits
 */
public record MacAddress(long value) {
  private static final int LENGTH_BYTES = 6;

  /** Separated octets, Cisco's three groups, or twelve digits. */
  private static final Pattern TEXT =
      Pattern.compile(
          "[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\\1[0-9a-f]{2}){4}"
              + "|[0-9a-f]{4}\\.[0-9a-f]{4}\\.[0-9a-f]{4}"
              + "|[0-9a-f]{12}");

  public MacAddress {
    if (value < 0 || value >>> (8 * LENGTH_BYTES) != 0) {
      throw new IllegalArgumentException("not 48 bits: " + Long.toHexString(value));
    }
  }

  /** Reads any of the usual spellings, for example {@code 52:54:00:12:34:56}. */
  public static Optional<MacAddress> parse(String text) {
    if (text.length() > 17) {
      return Optional.empty();
    }
    String lower = text.toLowerCase(Locale.ROOT);
    if (!TEXT.matcher(lower).matches()) {
      return Optional.empty();
    }
    return Optional.of(new MacAddress(HexFormat.fromHexDigitsToLong(lower.replaceAll("\\W", ""))));
  }

  static MacAddress of(byte[] octets) {
    if (octets.length != LENGTH_BYTES) {
      throw new IllegalArgumentException("not six octets: " + octets.length);
    }
    long value = 0;
    for (byte octet : octets) {
      value = value << 8 | (octet & 0xff);
    }
    return new MacAddress(value);
  }

  byte[] octets() {
    byte[] octets = new byte[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++) {
      octets[i] = (byte) (value >>> (8 * (LENGTH_BYTES - 1 - i)));
    }
    return octets;
  }

  /** The form that is safe in a URL's path: {@code 52-54-00-12-34-56}. */
  public String hyphenated() {
    return HexFormat.ofDelimiter("-").formatHex(octets());
  }

  /** The usual form: {@code 52:54:00:12:34:56}. */
  @Override
  public String toString() {
    return HexFormat.ofDelimiter(":").formatHex(octets());
  }
}
