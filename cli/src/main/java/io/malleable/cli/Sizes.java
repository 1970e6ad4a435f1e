package io.malleable.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes as people read and write them. Units are binary: G is GiB. */
final class Sizes {
  private static final String UNITS = "KMGTPE";
  private static final Pattern SIZE =
      Pattern.compile("([0-9]{1,18})(?:([KMGTP])(?:i?B)?|B)?", Pattern.CASE_INSENSITIVE);

  private Sizes() {}

  /** Three digits or so: {@code 512 B}, {@code 1.4 GiB}, {@code 20 GiB}. */
  static String format(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    int unit = (63 - Long.numberOfLeadingZeros(bytes)) / 10;
    double value = bytes / (double) (1L << (unit * 10));
    if (value >= 1023.5 && unit < UNITS.length()) {
      value /= 1024;
      unit++;
    }
    boolean whole = value >= 99.95 || Math.abs(value - Math.rint(value)) < 0.05;
    return String.format(
        Locale.ROOT, whole ? "%.0f %siB" : "%.1f %siB", value, UNITS.charAt(unit - 1));
  }

  /** Reads {@code 20G}, {@code 512M}, {@code 1073741824}. */
  static long parse(String option, String text) {
    Matcher matcher = SIZE.matcher(text.strip());
    if (matcher.matches()) {
      String unit = matcher.group(2);
      int shift = unit == null ? 0 : 10 * (UNITS.indexOf(unit.toUpperCase(Locale.ROOT)) + 1);
      try {
        return Math.multiplyExact(Long.parseLong(matcher.group(1)), 1L << shift);
      } catch (ArithmeticException e) {
        // Falls through: nothing of ours is that large.
      }
    }
    throw new CommandFailure(
        option + " is \"" + text + "\", which is not a size",
        "Give bytes, or a number with K, M, G or T, such as 20G.");
  }
}
