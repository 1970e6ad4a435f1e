package io.malleable.server;

import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Part of a list; {@code next} is the cursor of the following part, absent on the last. */
record Page<T>(List<T> items, @Nullable String next) {
  /**
   * Cuts a page out of a list that is ordered by a unique key. The cursor is the last key of the
   * page before, so that a list that changes meanwhile neither repeats nor skips what stays.
   */
  static <T> Page<T> of(List<T> all, Function<T, String> key, PageRequest request) {
    List<T> rest =
        all.stream()
            .filter(
                item -> request.cursor().map(c -> key.apply(item).compareTo(c) > 0).orElse(true))
            .sorted(Comparator.comparing(key))
            .limit(request.limit() + 1L)
            .toList();
    if (rest.size() <= request.limit()) {
      return new Page<>(rest, null);
    }
    List<T> items = rest.subList(0, request.limit());
    return new Page<>(items, key.apply(items.getLast()));
  }
}
