package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.time.Instant;

/** Prints one resource field by field, labels aligned; absent fields are left out. */
final class Details {
  private static final int LABEL_COLUMNS = 12;

  private final PrintWriter out;
  private final JsonNode resource;

  private Details(PrintWriter out, JsonNode resource) {
    this.out = out;
    this.resource = resource;
  }

  /** Begins with the resource's name. */
  static Details of(PrintWriter out, JsonNode resource) {
    return fields(out, resource).text("name");
  }

  /** Begins with nothing. */
  static Details fields(PrintWriter out, JsonNode resource) {
    return new Details(out, resource);
  }

  Details text(String field) {
    return text(field, field);
  }

  Details text(String field, String label) {
    return line(label, Table.cell(resource.path(field)));
  }

  Details size(String field, String label) {
    return line(label, Table.size(resource.path(field)));
  }

  Details time(String field, String label) {
    JsonNode time = resource.path(field);
    return time.isMissingNode()
        ? this
        : line(label, Table.cell(time) + " (" + Times.age(time, Instant.now()) + " ago)");
  }

  /** A line of one's own; a dash stands for absent. */
  Details line(String label, String text) {
    if (!text.equals("-")) {
      out.println(label + " ".repeat(Math.max(1, LABEL_COLUMNS - label.length())) + text);
    }
    return this;
  }
}
