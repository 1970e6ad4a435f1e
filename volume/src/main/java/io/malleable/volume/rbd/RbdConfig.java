package io.malleable.volume.rbd;

import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;

/**
 * How to reach the pool.
 *
 * @param conf Ceph's configuration file, which names the monitors and the keyring
 * @param user cephx user without the prefix {@code client.}; the profile {@code rbd} on monitors
 *     and on the pool is enough
 * @param pool an existing pool with the application {@code rbd}
 * @param timeout how long connecting, and each request to a monitor or an OSD, may take before it
 *     fails; whole seconds, at least one
 * @param instance this server; stays the same over restarts and differs from every other server's,
 *     so that a lock which a dead process of this server left behind can be told from a live peer's
 */
public record RbdConfig(Path conf, String user, String pool, Duration timeout, UUID instance) {
  public RbdConfig {
    if (timeout.toSeconds() < 1) {
      throw new IllegalArgumentException(
          "timeout is " + timeout + "; it must be at least one second");
    }
  }

  /**
   * Within this every call and every request on a volume ends, whatever the cluster does: the
   * cluster's own limit comes first and has the better message, and clearing up after it may wait
   * once more. After an interruption librbd pauses for 5 s before it watches an image again, and
   * closing waits for that.
   */
  public Duration callLimit() {
    return timeout.multipliedBy(2).plusSeconds(15);
  }
}
