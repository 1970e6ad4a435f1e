package io.malleable.server;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which part of a file a body is (RFC 9110 14.4).
 *
 * @param last inclusive, as on the wire
 */
record ContentRange(long first, long last, long total) {
  private static final Pattern FORM = Pattern.compile("bytes (\\d{1,18})-(\\d{1,18})/(\\d{1,18})");

  static ContentRange parse(String text) {
    Matcher matcher = FORM.matcher(text.strip());
    if (matcher.matches()) {
      ContentRange range =
          new ContentRange(
              Long.parseLong(matcher.group(1)),
              Long.parseLong(matcher.group(2)),
              Long.parseLong(matcher.group(3)));
      if (range.first() <= range.last() && range.last() < range.total()) {
        return range;
      }
    }
    throw ApiException.of(
        400,
        "PARAMETER_INVALID",
        "Content-Range",
        text,
        "The Content-Range is not a part of a file.",
        "Use 'bytes FIRST-LAST/TOTAL', counted from 0.");
  }

  long lengthBytes() {
    return last - first + 1;
  }
}
