package io.malleable.control;

import java.time.Instant;
import java.util.Optional;
import java.util.UUID;

/**
 * A disk may lack acknowledged writes, because the host of the server went down while it was
 * written to. Its secret was changed, so whoever had it open waits; it is forgotten with the first
 * login, which only the new secret allows.
 *
 * @param since when the secret was changed
 * @param boot number of the node's latest boot then: that one must not go on
 * @param powerCycle the operation with which the server reboots the machine, once it has begun one
 */
public record LostWrites(Instant since, long boot, Optional<UUID> powerCycle) {
  /** What happened, as a sentence. */
  public static final String REASON =
      "The server's host went down while the disk was written to; writes that were acknowledged may"
          + " be lost.";

  LostWrites cycledBy(UUID operation) {
    return new LostWrites(since, boot, Optional.of(operation));
  }
}
