package io.malleable.volume.local;

import java.util.List;
import java.util.UUID;

/**
 * What a scrub of a store found.
 *
 * @param checkedBytes data that was compared with its checksums
 * @param uncheckedBytes data that was read, but has no checksums: what disks wrote since their last
 *     snapshot, and what froze only just now
 */
public record VerifyReport(long checkedBytes, long uncheckedBytes, List<Damage> damages) {
  /**
   * Something that is not as it was written.
   *
   * @param what the file, the place in it, what it is and what it should be
   * @param volumes whose content depends on it; none when it is only a copy
   */
  public record Damage(String what, List<UUID> volumes) {}
}
