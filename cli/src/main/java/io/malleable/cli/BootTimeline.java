package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Draws the stages of one boot: when each came, as a number and as a place on a line, and how much
 * was read and written until then.
 */
public final class BootTimeline {
  private static final int LINE_COLUMNS = 28;
  private static final int STAGE_COLUMNS = 14;

  private BootTimeline() {}

  /**
   * Prints a node's latest boot, if it had one.
   *
   * @param node with its {@code bootTimeline}
   */
  public static void print(PrintWriter out, JsonNode node) {
    JsonNode stages = node.path("bootTimeline");
    Instant first = stages.isEmpty() ? null : Times.read(stages.path(0).path("at"));
    if (first == null) {
      return;
    }
    Instant last = first;
    for (JsonNode stage : stages) {
      Instant at = Times.read(stage.path("at"));
      last = at != null && at.isAfter(last) ? at : last;
    }
    String number = node.hasNonNull("boot") ? " " + node.path("boot").asText() : "";
    out.println("boot" + number + ", began " + Table.cell(stages.path(0).path("at")) + ":");
    Duration whole = Duration.between(first, last);
    Duration before = Duration.ZERO;
    for (JsonNode stage : stages) {
      Instant at = Times.read(stage.path("at"));
      Duration after = at == null ? before : Duration.between(first, at);
      out.println(line(stage, before, after, whole));
      before = after;
    }
  }

  private static String line(JsonNode stage, Duration before, Duration after, Duration whole) {
    String read =
        stage.path("readBytes").asLong() > 0 ? Table.size(stage.path("readBytes")) + " read" : "";
    if (stage.path("writtenBytes").asLong() > 0) {
      read += ", " + Table.size(stage.path("writtenBytes")) + " written";
    }
    String detail =
        stage.path("detail").asText("").isEmpty() ? "" : Table.cell(stage.path("detail"));
    String name = Table.cell(stage.path("stage"));
    return String.format(
            Locale.ROOT,
            "  %8.3f s  %-" + STAGE_COLUMNS + "s  |%s|  %-14s %s",
            after.toNanos() / 1e9,
            name,
            track(before, after, whole),
            read,
            detail)
        .stripTrailing();
  }

  /** The way from the stage before to this one. */
  private static String track(Duration before, Duration after, Duration whole) {
    int from = column(before, whole);
    int to = Math.max(from, column(after, whole));
    return " ".repeat(from) + "-".repeat(to - from) + "*" + " ".repeat(LINE_COLUMNS - 1 - to);
  }

  private static int column(Duration at, Duration whole) {
    if (whole.isZero()) {
      return 0;
    }
    long column = Math.round((LINE_COLUMNS - 1) * (double) at.toNanos() / whole.toNanos());
    return (int) Math.min(LINE_COLUMNS - 1, Math.max(0, column));
  }

  /** From the first stage to the named one; {@code null} when it did not come. */
  public static @Nullable Duration until(JsonNode node, String stage) {
    JsonNode stages = node.path("bootTimeline");
    Instant first = Times.read(stages.path(0).path("at"));
    for (JsonNode one : stages) {
      Instant at = Times.read(one.path("at"));
      if (first != null && at != null && one.path("stage").asText().equals(stage)) {
        return Duration.between(first, at);
      }
    }
    return null;
  }
}
