package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Points in time and durations as people read them. */
final class Times {
  private static final DateTimeFormatter MINUTE =
      DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);

  private Times() {}

  /** The time in a field; absent or malformed is {@code null}. */
  static @Nullable Instant read(JsonNode time) {
    if (!time.isTextual()) {
      return null;
    }
    try {
      return Instant.parse(time.asText());
    } catch (DateTimeException e) {
      return null;
    }
  }

  /** How long ago a field's time is. */
  static String age(JsonNode time, Instant now) {
    Instant at = read(time);
    return at == null ? "-" : rough(Duration.between(at, now));
  }

  /** A field's time and how long ago that is: {@code 2026-11-24 16:05Z (3h20m ago)}. */
  static String past(JsonNode time, Instant now) {
    Instant at = read(time);
    return at == null ? "-" : minute(at) + " (" + rough(Duration.between(at, now)) + " ago)";
  }

  /** The same of a time to come: {@code 2026-12-01 16:05Z (in 6d)}, or {@code (due)} after it. */
  static String future(JsonNode time, Instant now) {
    Instant at = read(time);
    if (at == null) {
      return "-";
    }
    return minute(at)
        + (at.isAfter(now) ? " (in " + rough(Duration.between(now, at)) + ")" : " (due)");
  }

  private static String minute(Instant at) {
    return MINUTE.format(at);
  }

  /** Two units at most: {@code 12s}, {@code 5m}, {@code 3h20m}, {@code 4d}. */
  static String rough(Duration duration) {
    long seconds = Math.max(0, duration.toSeconds());
    if (seconds < 60) {
      return seconds + "s";
    }
    long minutes = seconds / 60;
    if (minutes < 60) {
      return minutes + "m";
    }
    long hours = minutes / 60;
    if (hours < 24) {
      return minutes % 60 == 0 ? hours + "h" : hours + "h" + minutes % 60 + "m";
    }
    return hours / 24 + "d";
  }

  /** Seconds for what somebody waits for: {@code 0.042 s}, {@code 16.7 s}. */
  static String exact(Duration duration) {
    double seconds = duration.toNanos() / 1e9;
    return String.format(
        Locale.ROOT, seconds < 1 ? "%.3f s" : seconds < 100 ? "%.1f s" : "%.0f s", seconds);
  }
}
