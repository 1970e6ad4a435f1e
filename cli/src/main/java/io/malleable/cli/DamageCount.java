package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/** What cannot be used, over all projects, as {@code GET /v1/system} counts it. */
final class DamageCount {
  /** How to find out which, and more. */
  static final String REMEDY =
      "see the lists of each project, also m2 disk list --deleted; to look for more, stop the server"
          + " and use: m2 doctor --verify";

  private DamageCount() {}

  /** Such as {@code 1 image, 2 disks}; a dash when there is nothing. */
  static String text(JsonNode system) {
    List<String> parts = new ArrayList<>();
    for (String noun : List.of("image", "disk", "snapshot")) {
      long number = system.path("damaged").path(noun + "s").asLong();
      if (number > 0) {
        parts.add(number + " " + noun + (number == 1 ? "" : "s"));
      }
    }
    return parts.isEmpty() ? "-" : String.join(", ", parts);
  }
}
