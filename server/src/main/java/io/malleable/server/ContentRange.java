package io.malleable.server;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which part of a file a body is (RFC 9110 14.4). {@code bytes *}{@code /TOTAL} says that there is
 * nothing more to send: all of it has arrived before.
 *
 * @param first of the part; where the file ends when the part is empty
 */
record ContentRange(long first, long lengthBytes, long total) {
  private static final Pattern PART = Pattern.compile("bytes (\\d{1,18})-(\\d{1,18})/(\\d{1,18})");
  private static final Pattern NOTHING_MORE = Pattern.compile("bytes \\*/(\\d{1,18})");

  static ContentRange parse(String text) {
    Matcher part = PART.matcher(text.strip());
    if (part.matches()) {
      long first = Long.parseLong(part.group(1));
      long last = Long.parseLong(part.group(2));
      long total = Long.parseLong(part.group(3));
      if (first <= last && last < total) {
        return new ContentRange(first, last - first + 1, total);
      }
    }
    Matcher end = NOTHING_MORE.matcher(text.strip());
    if (end.matches() && Long.parseLong(end.group(1)) > 0) {
      long total = Long.parseLong(end.group(1));
      return new ContentRange(total, 0, total);
    }
    throw ApiException.of(
        400,
        "PARAMETER_INVALID",
        "Content-Range",
        text,
        "The Content-Range is not a part of a file.",
        "Use 'bytes FIRST-LAST/TOTAL', counted from 0, or 'bytes */TOTAL' when all has arrived.");
  }
}
