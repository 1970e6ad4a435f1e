package io.malleable.control;

/** What to do with a node's power. */
public enum PowerAction {
  ON,
  OFF,
  CYCLE
}
