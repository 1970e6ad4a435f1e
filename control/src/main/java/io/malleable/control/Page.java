package io.malleable.control;

import java.util.List;
import java.util.Optional;

/**
 * A part of a list.
 *
 * @param next give it back to get the part that follows; absent at the end
 */
public record Page<T>(List<T> items, Optional<String> next) {
  public Page {
    items = List.copyOf(items);
  }
}
