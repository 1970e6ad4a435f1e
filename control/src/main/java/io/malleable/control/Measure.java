package io.malleable.control;

import java.util.Optional;

/** What the store says of the volume behind an image, disk or snapshot. */
public sealed interface Measure {
  /** Nobody asked. */
  record Unknown() implements Measure {}

  /** The store does not say now; all else is as the database has it. */
  record Unavailable(String why) implements Measure {}

  /** What it occupies by itself; 0 while there is no volume yet. */
  record Occupies(long bytes) implements Measure {}

  /** Its content cannot be used. It can still be deleted. */
  record Damaged(String why) implements Measure {}

  /** What it occupies by itself, when that is known. */
  default Optional<Long> allocatedBytes() {
    return this instanceof Occupies(long bytes) ? Optional.of(bytes) : Optional.empty();
  }

  /** Why the store does not say anything; absent when it does, or was not asked. */
  default Optional<String> storeFault() {
    return this instanceof Unavailable(String why) ? Optional.of(why) : Optional.empty();
  }

  /** Why its content cannot be used; absent when nothing is known to be wrong. */
  default Optional<String> damage() {
    return this instanceof Damaged(String why) ? Optional.of(why) : Optional.empty();
  }
}
