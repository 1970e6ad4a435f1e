package io.malleable.control;

import java.util.Optional;

/**
 * Where a boot stands and, if it stopped, why.
 *
 * @param summary one sentence
 * @param reached the last stage that was seen
 * @param missing the stage that should have come
 */
public record Explanation(
    String node,
    String state,
    String summary,
    Optional<BootStage> reached,
    Optional<BootStage> missing,
    Optional<String> cause,
    Optional<String> fix) {
  /** The same boot with a cause that goes before what it looks like from outside. */
  Explanation because(BootReasons.Reason reason) {
    return new Explanation(
        node,
        state,
        summary,
        reached,
        missing,
        Optional.of(reason.cause()),
        Optional.of(reason.fix()));
  }
}
