package io.malleable.control;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Which part of a list.
 *
 * @param cursor {@link Page#next} of the part before
 * @param limit 1 to {@link #MAX_LIMIT}
 */
public record PageRequest(Optional<String> cursor, int limit) {
  public static final int MAX_LIMIT = 1000;
  public static final int DEFAULT_LIMIT = 100;

  public PageRequest {
    if (limit < 1 || limit > MAX_LIMIT) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "limit",
          Integer.toString(limit),
          "A page cannot hold " + limit + " items.",
          "Use 1 to " + MAX_LIMIT + ".");
    }
  }

  public static PageRequest first() {
    return new PageRequest(Optional.empty(), DEFAULT_LIMIT);
  }

  /** The key after which the part starts. */
  Optional<String> afterKey() {
    return cursor.map(text -> {
      try {
        String key = new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8);
        if (key.startsWith("k:")) {
          return key.substring(2);
        }
      } catch (IllegalArgumentException e) {
        throw invalid(text).causedBy(e);
      }
      throw invalid(text);
    });
  }

  /** A page out of up to {@code limit + 1} rows that were read. */
  <T> Page<T> page(List<T> rows, Function<T, String> key) {
    if (rows.size() <= limit) {
      return new Page<>(rows, Optional.empty());
    }
    List<T> items = rows.subList(0, limit);
    String cursorText = "k:" + key.apply(items.getLast());
    return new Page<>(
        items,
        Optional.of(
            Base64.getUrlEncoder()
                .withoutPadding()
                .encodeToString(cursorText.getBytes(StandardCharsets.UTF_8))));
  }

  static ControlException invalid(String text) {
    return ControlException.ofField(
        ErrorCode.CURSOR_INVALID,
        "cursor",
        text,
        "The cursor is none of ours.",
        "Take it from 'next' of the page before, or leave it out to start over.");
  }
}
