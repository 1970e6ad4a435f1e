package io.malleable.control;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * How long a boot may stay at a stage before something is wrong. Generous: real servers test their
 * memory for minutes, and a boot that comes late still succeeds.
 *
 * @param bootScript from power-on until the boot script is asked for
 * @param firmwareLogin from the boot script until the firmware logs in
 * @param osLogin from the firmware's login until the operating system logs in
 */
public record BootDeadlines(Duration bootScript, Duration firmwareLogin, Duration osLogin) {
  public static BootDeadlines defaults() {
    return new BootDeadlines(Duration.ofMinutes(10), Duration.ofMinutes(2), Duration.ofMinutes(10));
  }

  /**
   * A stage that is due.
   *
   * @param since when the stage before it was seen
   */
  record Due(BootStage stage, Instant since, Instant deadline) {}

  /**
   * What a boot waits for now; absent when the operating system has its drive.
   *
   * @param servedSince since when there is somebody to boot from: no time counts before
   */
  Optional<Due> due(Boot boot, Instant servedSince) {
    if (boot.reached(BootStage.OS_LOGIN) || boot.reached(BootStage.READY)) {
      return Optional.empty();
    }
    Optional<Instant> firmware = boot.stage(BootStage.FIRMWARE_LOGIN).map(Boot.Stage::at);
    if (firmware.isPresent()) {
      return Optional.of(due(BootStage.OS_LOGIN, firmware.get(), osLogin, servedSince));
    }
    Optional<Instant> script = boot.stage(BootStage.BOOT_SCRIPT).map(Boot.Stage::at);
    if (script.isPresent()) {
      return Optional.of(due(BootStage.FIRMWARE_LOGIN, script.get(), firmwareLogin, servedSince));
    }
    return Optional.of(due(BootStage.BOOT_SCRIPT, boot.startedAt(), bootScript, servedSince));
  }

  private static Due due(BootStage stage, Instant since, Duration limit, Instant servedSince) {
    Instant from = since.isAfter(servedSince) ? since : servedSince;
    return new Due(stage, since, from.plus(limit));
  }
}
