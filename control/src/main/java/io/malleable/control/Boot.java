package io.malleable.control;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * One boot of a node.
 *
 * @param number counts the boots of this node from 1
 * @param disk the disk that it was bound to when the boot began
 * @param stages in the order seen
 */
public record Boot(
    UUID node, long number, Instant startedAt, Optional<UUID> disk, List<Stage> stages) {
  public Boot {
    stages = List.copyOf(stages);
  }

  /**
   * A stage that was seen.
   *
   * @param readBytes read from the drive since the boot began until then
   * @param writtenBytes written to the drive since the boot began until then
   */
  public record Stage(
      BootStage stage, Instant at, Optional<String> detail, long readBytes, long writtenBytes) {}

  /** When the stage was seen first. */
  public Optional<Stage> stage(BootStage wanted) {
    return stages.stream().filter(s -> s.stage() == wanted).findFirst();
  }

  public boolean reached(BootStage wanted) {
    return stage(wanted).isPresent();
  }
}
