package io.malleable.image;

/** How much a finding matters, the worst first. */
public enum Severity {
  /** The drive does not boot this way. */
  BLOCKS,
  /** It could not be found out; not to be taken for good. */
  UNKNOWN,
  /** It boots, and something will go wrong on some machines or later. */
  WARNING,
  /** Worth knowing. */
  NOTE
}
