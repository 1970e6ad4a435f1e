package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Rows under a heading, columns aligned. A column whose heading begins with {@code >} is aligned
 * right.
 */
public final class Table {
  private static final String GAP = "  ";

  private final boolean[] right;
  private final List<String[]> rows = new ArrayList<>();

  /** A table with these headings. */
  public Table(String... headings) {
    right = new boolean[headings.length];
    String[] first = new String[headings.length];
    for (int i = 0; i < headings.length; i++) {
      right[i] = headings[i].startsWith(">");
      first[i] = right[i] ? headings[i].substring(1) : headings[i];
    }
    rows.add(first);
  }

  /** Adds a row; as many cells as there are headings. */
  public void row(String... cells) {
    if (cells.length != right.length) {
      throw new IllegalArgumentException(cells.length + " cells for " + right.length + " columns");
    }
    rows.add(cells);
  }

  /** Prints the table; when it is empty, what to do about it instead. */
  public void print(PrintWriter out, String whenEmpty) {
    if (rows.size() == 1) {
      out.println(whenEmpty);
      return;
    }
    int[] widths = new int[right.length];
    rows.forEach(row ->
        IntStream.range(0, row.length)
            .forEach(i -> widths[i] = Math.max(widths[i], row[i].length())));
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < row.length; i++) {
        String padding = " ".repeat(widths[i] - row[i].length());
        line.append(i == 0 ? "" : GAP).append(right[i] ? padding + row[i] : row[i] + padding);
      }
      out.println(line.toString().stripTrailing());
    }
  }

  /**
   * A text field for a cell; a dash when it is absent. Control characters of others do not reach
   * the terminal.
   */
  public static String cell(JsonNode value) {
    String text = value.isMissingNode() || value.isNull() ? "" : value.asText();
    return text.isEmpty() ? "-" : text.replaceAll("\\p{Cntrl}", "?");
  }

  /** A field with a size in bytes for a cell. */
  public static String size(JsonNode bytes) {
    return bytes.isNumber() ? Sizes.format(bytes.asLong()) : "-";
  }
}
