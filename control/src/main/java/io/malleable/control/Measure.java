package io.malleable.control;

import io.malleable.volume.VolumeFault;
import java.util.Optional;

/** What the store says of the volume behind an image, disk or snapshot. */
public sealed interface Measure {
  /** Nobody asked. */
  record Unknown() implements Measure {}

  /** The store does not say now; all else is as the database has it. */
  record Unavailable(String why) implements Measure {}

  /**
   * What it occupies by itself; 0 while there is no volume yet.
   *
   * @param fault its storage failed: it is read, and takes no writes until it has recovered
   */
  record Occupies(long bytes, Optional<VolumeFault> fault) implements Measure {}

  /** Its content cannot be used. It can still be deleted. */
  record Damaged(String why) implements Measure {}

  /** What it occupies by itself, when that is known. */
  default Optional<Long> allocatedBytes() {
    return this instanceof Occupies(long bytes, var _) ? Optional.of(bytes) : Optional.empty();
  }

  /** Why the store does not say anything; absent when it does, or was not asked. */
  default Optional<String> storeFault() {
    return this instanceof Unavailable(String why) ? Optional.of(why) : Optional.empty();
  }

  /** Why its content cannot be used; absent when nothing is known to be wrong. */
  default Optional<String> damage() {
    return this instanceof Damaged(String why) ? Optional.of(why) : Optional.empty();
  }

  /** Why it takes no writes now, and since when; absent when nothing is known to have failed. */
  default Optional<VolumeFault> fault() {
    return this instanceof Occupies occupies ? occupies.fault() : Optional.empty();
  }

  /** What a list shows of a volume that something is wrong with. */
  default Optional<String> troubleWord() {
    return damage().isPresent() ? Optional.of("damaged") : fault().map(_ -> "failed");
  }
}
