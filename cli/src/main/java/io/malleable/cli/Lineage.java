package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;

/** What an image, disk or snapshot builds on, for people. */
final class Lineage {
  private Lineage() {}

  /** Such as {@code snapshot then < image debian-12}, the nearest first; a dash when nothing. */
  static String text(JsonNode resource) {
    StringBuilder text = new StringBuilder();
    String project = resource.path("project").asText();
    for (JsonNode ancestor : resource.path("lineage")) {
      String owner = ancestor.path("project").asText();
      text.append(text.isEmpty() ? "" : " < ")
          .append(Table.cell(ancestor.path("kind")))
          .append(' ')
          .append(owner.equals(project) ? "" : owner + "/")
          .append(Table.cell(ancestor.path("name")));
    }
    // A single one is the parent, which is shown anyway.
    return resource.path("lineage").size() < 2 ? "-" : text.toString();
  }
}
