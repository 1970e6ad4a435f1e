package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.util.UUID;

/** What a failed call into Ceph means for a volume. */
final class RbdErrors {
  private RbdErrors() {}

  static VolumeException translated(RbdConfig config, UUID id, CephException e) {
    return translated(config, "volume " + id, e);
  }

  static VolumeException translated(RbdConfig config, String subject, CephException e) {
    String what = subject + ": " + e.getMessage();
    return switch (e.errno()) {
      case CephException.EPERM, CephException.EACCES ->
          new VolumeException(Reason.UNAVAILABLE, what + "; " + capabilities(config), e);
      default -> new VolumeException(reason(e.errno()), what, e);
    };
  }

  private static Reason reason(int errno) {
    return switch (errno) {
      case CephException.ENOENT -> Reason.NOT_FOUND;
      case CephException.EEXIST -> Reason.ALREADY_EXISTS;
      case CephException.EBUSY, CephException.EROFS -> Reason.IN_USE;
      case CephException.ENOTEMPTY -> Reason.HAS_DEPENDANTS;
      case CephException.ENOSPC, CephException.EDQUOT -> Reason.OUT_OF_SPACE;
      default -> Reason.UNAVAILABLE;
    };
  }

  /** What the user of the store needs, and the command that gives it. */
  static String capabilities(RbdConfig config) {
    return "client."
        + config.user()
        + " needs the profile rbd on the monitors and on the pool: ceph auth caps client."
        + config.user()
        + " mon 'profile rbd' mgr 'profile rbd' osd 'profile rbd pool="
        + config.pool()
        + "'";
  }
}
