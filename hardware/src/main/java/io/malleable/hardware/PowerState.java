package io.malleable.hardware;

/** Whether a machine has power, as far as its driver can tell. */
public enum PowerState {
  ON,
  OFF,
  /** There is no way to tell, for example because the node has no power driver. */
  UNKNOWN
}
