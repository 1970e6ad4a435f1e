package io.malleable.hardware;

import java.time.Duration;

/**
 * How long a BMC may take. BMCs are small computers: a busy one answers after seconds, and one that
 * is restarted by a watchdog is away for a minute.
 *
 * @param call one request and its answer
 * @param attempts how often a request is made before the BMC counts as unreachable
 * @param firstPause before the second attempt; doubled before each further one
 * @param stateChange from a power command until the BMC reports the new state
 */
public record BmcLimits(Duration call, int attempts, Duration firstPause, Duration stateChange) {
  /** Long enough for the slow ones. */
  public static BmcLimits standard() {
    return new BmcLimits(Duration.ofSeconds(20), 3, Duration.ofMillis(500), Duration.ofSeconds(90));
  }
}
