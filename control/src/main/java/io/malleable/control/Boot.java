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
 * @param before what had gone over the disk's target when the boot began
 * @param stages in the order seen
 */
public record Boot(
    UUID node,
    long number,
    Instant startedAt,
    Optional<UUID> disk,
    Traffic before,
    List<Stage> stages) {
  public Boot {
    stages = List.copyOf(stages);
  }

  /** Bytes read from and written to a drive. */
  public record Traffic(long readBytes, long writtenBytes) {
    public static final Traffic NONE = new Traffic(0, 0);

    static Traffic of(Targets.Use use) {
      return new Traffic(use.readBytes(), use.writtenBytes());
    }
  }

  /**
   * What has gone over the target since the boot began; its counters begin anew with the server.
   */
  Traffic since(Targets.Use use) {
    boolean anew =
        use.readBytes() < before.readBytes() || use.writtenBytes() < before.writtenBytes();
    return anew
        ? Traffic.of(use)
        : new Traffic(
            use.readBytes() - before.readBytes(), use.writtenBytes() - before.writtenBytes());
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
