package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.util.List;
import java.util.UUID;

/**
 * Runs the store's calls: those on the same volume after one another, each within the limit, and
 * none once the store is closed. Thread-safe.
 */
final class VolumeCalls {
  private final RbdConfig config;
  private final BoundedCalls calls;
  private final VolumeLocks locks;
  private final Gate gate = new Gate();

  VolumeCalls(RbdConfig config, BoundedCalls calls) {
    this.config = config;
    this.calls = calls;
    this.locks = new VolumeLocks(config.timeout().toNanos());
  }

  /** Runs a call that changes {@code changed} and needs {@code kept}, within the limit. */
  <T> T perform(
      String what, UUID id, List<UUID> changed, List<UUID> kept, BoundedCalls.Body<T> body)
      throws IOException {
    return perform(what, "volume " + id, changed, kept, body, _ -> {});
  }

  <T> T perform(
      String what,
      String subject,
      List<UUID> changed,
      List<UUID> kept,
      BoundedCalls.Body<T> body,
      BoundedCalls.Abandoned<T> abandoned)
      throws IOException {
    VolumeLocks.Held held = enter(what, changed, kept);
    return calls.call(
        what + " of " + subject,
        held::close,
        () -> {
          try {
            return body.run();
          } catch (CephException e) {
            throw RbdErrors.translated(config, subject, e);
          }
        },
        abandoned);
  }

  /** Keeps the connection and the volumes until the lock is closed. */
  VolumeLocks.Held enter(String what, List<UUID> changed, List<UUID> kept) throws IOException {
    if (!gate.enter()) {
      throw new VolumeException(Reason.UNAVAILABLE, "the volume store is closed");
    }
    try {
      VolumeLocks.Held held = locks.take(what, changed, kept);
      return () -> {
        held.close();
        gate.leave();
      };
    } catch (IOException e) {
      gate.leave();
      throw e;
    }
  }

  /** Runs a call that is about no volume in particular, within the limit. */
  <T> T ofPool(String what, BoundedCalls.Body<T> body) throws IOException {
    return perform(what, "pool " + config.pool(), List.of(), List.of(), body, _ -> {});
  }

  /** Lets no call begin any more; whether those under way ended within the limit. */
  boolean end() {
    return gate.shut(config.callLimit().toNanos());
  }
}
