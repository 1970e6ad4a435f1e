package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * The lock of a writable image: two writers would destroy a file system. It is taken before the
 * first request and never handed over.
 *
 * <p>Before a server takes the lock it writes its connection's address into a key of its own, so
 * that a lock which a dead process of this server left behind is known by its holder's address, no
 * matter when the process died; no two servers write the same key.
 */
final class ExclusiveLock {
  private static final System.Logger LOG = System.getLogger(ExclusiveLock.class.getName());

  /** Before the server's instance; the value is the address of the connection it had last. */
  static final String CLIENT_PREFIX = "m2.client.";

  private ExclusiveLock() {}

  /**
   * Takes the lock, from a dead process of this server if need be, and from whoever gives it up by
   * itself: Ceph takes it for a moment when the last clone of a removed snapshot goes.
   *
   * @throws VolumeException {@code IN_USE} naming the holder when that is another server, or does
   *     not give it up
   */
  static void take(UUID id, RbdImage image) throws IOException {
    String key = CLIENT_PREFIX + image.cluster().config().instance();
    String own = image.cluster().address();
    Optional<String> before = image.metadata(key);
    Optional<String> holder = image.lockOwner();
    if (holder.isPresent() && !holder.get().equals(own)) {
      if (before.equals(holder)) {
        breakLock(id, image, holder.get());
      } else {
        requireNoServer(id, image, holder.get());
      }
    }
    if (!before.equals(Optional.of(own))) {
      image.metadata(key, own);
    }
    try {
      image.lock();
    } catch (CephException e) {
      if (e.errno() == CephException.EROFS || e.errno() == CephException.EBUSY) {
        String by = holder.map(address -> "by " + address).orElse("by another server");
        throw new VolumeException(Reason.IN_USE, inUse(id, image, by), e);
      }
      throw e;
    }
  }

  /** A server writes its address before it locks, so one that is not found there is none. */
  private static void requireNoServer(UUID id, RbdImage image, String holder) throws IOException {
    for (Map.Entry<String, String> client : image.metadataWith(CLIENT_PREFIX).entrySet()) {
      if (client.getValue().equals(holder)) {
        String server = client.getKey().substring(CLIENT_PREFIX.length());
        throw new VolumeException(
            Reason.IN_USE,
            inUse(id, image, "in another server (instance " + server + ", " + holder + ")"));
      }
    }
  }

  private static void breakLock(UUID id, RbdImage image, String holder) throws IOException {
    LOG.log(
        Level.INFO,
        "breaking the lock of volume {0} that a dead process of this server held as {1}",
        id,
        holder);
    try {
      image.breakLock(holder);
    } catch (CephException e) {
      if (e.errno() == CephException.EPERM || e.errno() == CephException.EACCES) {
        throw new VolumeException(
            Reason.UNAVAILABLE,
            "volume "
                + id
                + ": the lock that a dead process of this server left behind cannot be broken,"
                + " because that process may not be blocklisted; "
                + RbdErrors.capabilities(image.cluster().config()),
            e);
      }
      throw e;
    }
  }

  private static String inUse(UUID id, RbdImage image, String holder) {
    String spec = image.cluster().config().pool() + "/" + id;
    return "volume "
        + id
        + " is open "
        + holder
        + "; if that one is dead for certain, see 'rbd lock ls "
        + spec
        + "' and remove its lock with 'rbd lock rm "
        + spec
        + " LOCK LOCKER'";
  }
}
