package io.malleable.iscsi;

import java.time.Duration;
import java.util.UUID;

/**
 * That a unit refuses writes for lack of space. It is over when the write that was refused last has
 * been done, or when none was refused for a minute.
 *
 * @param target name
 * @param logicalUnit its identifier
 * @param answer to the writes
 * @param lasting since the first of them
 * @param reason what the store said to the last of them
 */
public record SpaceRefusal(
    String target, UUID logicalUnit, Answer answer, Duration lasting, String reason) {
  /** What the initiator hears. */
  public enum Answer {
    /** BUSY, so it sends the write again: somebody may make room. */
    HELD,
    /** SPACE ALLOCATION FAILED WRITE PROTECT: nobody made room in time. */
    STORE_FULL,
    /** The same, at once: whatever room the store has, this unit takes no more. */
    UNIT_FULL
  }
}
