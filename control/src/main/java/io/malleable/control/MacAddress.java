package io.malleable.control;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * An Ethernet address in its one form: six lower-case hexadecimal octets with colons.
 *
 * @param text such as {@code 52:54:00:12:34:56}
 */
public record MacAddress(String text) {
  private static final Pattern COLONS = Pattern.compile("([0-9a-f]{2}:){5}[0-9a-f]{2}");
  private static final Pattern BARE = Pattern.compile("[0-9a-f]{12}");

  public MacAddress {
    if (!COLONS.matcher(text).matches()) {
      throw new IllegalArgumentException("not a normalised MAC address: " + text);
    }
  }

  /**
   * Reads the usual spellings: colons, dashes, dots, no separator, either case.
   *
   * @throws ControlException MAC_INVALID, also for a group address and for all zeroes
   */
  public static MacAddress parse(String field, String text) {
    String bare = text.strip().toLowerCase(Locale.ROOT).replaceAll("[:.-]", "");
    if (!BARE.matcher(bare).matches() || text.length() > 20) {
      throw invalid(field, text, "'" + text.strip() + "' is not a MAC address.");
    }
    int first = Integer.parseInt(bare.substring(0, 2), 16);
    if ((first & 1) != 0) {
      throw invalid(field, text, "'" + text.strip() + "' is a group address, no machine has it.");
    }
    if (bare.equals("000000000000")) {
      throw invalid(field, text, "A MAC address of zeroes identifies no machine.");
    }
    return new MacAddress(bare.replaceAll("(..)(?!$)", "$1:"));
  }

  private static ControlException invalid(String field, String text, String message) {
    return ControlException.ofField(
        ErrorCode.MAC_INVALID,
        field,
        text,
        message,
        "Give the six octets of the boot NIC, such as 52:54:00:12:34:56.");
  }

  @Override
  public String toString() {
    return text;
  }
}
