package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/** What something is wrong with, over all projects, as {@code GET /v1/system} counts it. */
final class TroubleCount {
  /** How to find out which cannot be used, and more. */
  static final String DAMAGE_REMEDY =
      "see the lists of each project, also m2 disk list --deleted; to look for more, stop the server"
          + " and use: m2 doctor --verify";

  /** How to find out which take no writes, and why. */
  static final String FAILURE_REMEDY =
      "look at the drive under the store and at the kernel's log; m2 disk list of each project shows"
          + " which, m2 disk show NAME why";

  private TroubleCount() {}

  /** What is damaged: such as {@code 1 image, 2 disks}; a dash when there is nothing. */
  static String damaged(JsonNode system) {
    return text(system.path("damaged"));
  }

  /** What takes no writes, in the same way. */
  static String failed(JsonNode system) {
    return text(system.path("failed"));
  }

  private static String text(JsonNode counts) {
    List<String> parts = new ArrayList<>();
    for (String noun : List.of("image", "disk", "snapshot")) {
      long number = counts.path(noun + "s").asLong();
      if (number > 0) {
        parts.add(number + " " + noun + (number == 1 ? "" : "s"));
      }
    }
    return parts.isEmpty() ? "-" : String.join(", ", parts);
  }
}
