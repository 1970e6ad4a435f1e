package io.malleable.control;

/**
 * Whether a target acknowledges writes before they are durable. Initiators read it once, when they
 * log in first (the WCE bit of the caching mode page, SBC-3 6.4.5).
 */
public enum WriteCache {
  /** Durable is what was flushed. What was only acknowledged is lost when the host goes down. */
  WRITE_BACK,
  /** Durable is what was acknowledged. */
  WRITE_THROUGH
}
