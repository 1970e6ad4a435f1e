package io.malleable.control;

import java.util.Locale;

/** What a name or an id may stand for. */
public enum ResourceKind {
  PROJECT,
  IMAGE,
  DISK,
  SNAPSHOT,
  NODE,
  OPERATION,
  SERVER;

  /** The word used on the wire and in messages. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
