package io.malleable.server;

import io.malleable.control.Page;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Part of a list on the wire; {@code next} is the cursor of the following part. */
record PageBody<T>(List<T> items, @Nullable String next) {
  static <D, T> PageBody<T> of(Page<D> page, Function<D, T> body) {
    return new PageBody<>(page.items().stream().map(body).toList(), page.next().orElse(null));
  }
}
