package io.malleable.server;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Checks of request bodies that their types cannot express. */
final class Required {
  private Required() {}

  static <T> T field(String name, @Nullable T value) {
    if (value == null) {
      throw ApiException.of(
          400, "FIELD_MISSING", name, "The field " + name + " is missing.", "Give it a value.");
    }
    return value;
  }

  /**
   * Which one of several fields is there.
   *
   * @param names in the order of {@code values}
   */
  static String oneOf(List<String> names, @Nullable Object... values) {
    List<String> present = new ArrayList<>();
    for (int i = 0; i < values.length; i++) {
      if (values[i] != null) {
        present.add(names.get(i));
      }
    }
    if (present.size() == 1) {
      return present.getFirst();
    }
    String all = String.join(", ", names);
    throw ApiException.of(
        400,
        present.isEmpty() ? "FIELD_MISSING" : "FIELD_CONFLICT",
        present.isEmpty() ? names.getFirst() : present.get(1),
        present.isEmpty()
            ? "One of the fields " + all + " is needed."
            : "The fields " + String.join(" and ", present) + " exclude each other.",
        "Give exactly one of " + all + ".");
  }
}
