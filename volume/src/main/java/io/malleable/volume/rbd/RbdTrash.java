package io.malleable.volume.rbd;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Removes from the pool's trash what nothing reads from any more, on a thread of its own: the time
 * that takes grows with the data. Images of others stay; so do images that clones read from, until
 * the last of those is gone.
 */
final class RbdTrash implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(RbdTrash.class.getName());

  /** Other servers of the pool may have removed clones of our images meanwhile. */
  private static final long FORGET_NANOS = TimeUnit.MINUTES.toNanos(10);

  private final RbdCluster cluster;
  private final Thread thread;

  /** Trash ids that had clones, or were not ours. Only the thread uses it. */
  private final Set<String> waiting = new HashSet<>();

  private long forgottenAt = System.nanoTime();
  private boolean asked;
  private boolean forget;
  private volatile boolean stopping;

  RbdTrash(RbdCluster cluster) {
    this.cluster = cluster;
    thread = Thread.ofPlatform().name("rbd-trash").daemon(true).unstarted(this::run);
  }

  void start() {
    thread.start();
  }

  /** Something went into the trash. */
  synchronized void onDiscarded() {
    asked = true;
    notifyAll();
  }

  /** An image stopped reading from its parent, which may be in the trash. */
  synchronized void onDetached() {
    forget = true;
    onDiscarded();
  }

  private void run() {
    try {
      while (await()) {
        pass();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** False when the store is being closed. */
  private synchronized boolean await() throws InterruptedException {
    while (!asked && !stopping) {
      long left = FORGET_NANOS - (System.nanoTime() - forgottenAt);
      if (left <= 0) {
        forget = true;
        asked = true;
      } else {
        TimeUnit.NANOSECONDS.timedWait(this, left);
      }
    }
    if (forget) {
      waiting.clear();
      forgottenAt = System.nanoTime();
    }
    asked = false;
    forget = false;
    return !stopping;
  }

  private void pass() {
    try {
      boolean progress = true;
      while (progress && !stopping) {
        progress = false;
        List<String> trash = cluster.trash();
        waiting.retainAll(Set.copyOf(trash));
        for (String id : trash) {
          progress |= !stopping && !waiting.contains(id) && purge(id);
        }
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, "the trash of the pool cannot be purged now; this is tried again", e);
    }
  }

  /** Whether the image is gone. */
  private boolean purge(String id) throws IOException {
    Optional<String> parent;
    try (RbdImage image = cluster.openTrashed(id)) {
      if (!image.hasMetadata(RbdImages.RECORD)) {
        waiting.add(id); // somebody else's: the pool's trash is not ours alone
        return false;
      }
      parent = image.parentId();
      for (String snapshot : image.snapshots()) {
        image.removeSnapshot(snapshot);
      }
    } catch (CephException e) {
      return notNow(id, e);
    }
    try {
      cluster.removeTrashed(id, () -> stopping);
    } catch (CephException e) {
      return notNow(id, e);
    }
    parent.ifPresent(waiting::remove);
    return true;
  }

  private boolean notNow(String id, CephException e) throws CephException {
    switch (e.errno()) {
      case CephException.ENOENT -> {}
      case CephException.ENOTEMPTY, CephException.EBUSY -> waiting.add(id);
      case CephException.ECANCELED -> {} // the next start goes on with it
      case CephException.ETIMEDOUT, CephException.ESHUTDOWN -> throw e;
      default -> {
        LOG.log(Level.WARNING, "the trashed image " + id + " cannot be purged now", e);
        waiting.add(id);
      }
    }
    return false;
  }

  /** Ends between two objects; what is left is purged after the next start. */
  @Override
  public void close() throws IOException {
    synchronized (this) {
      stopping = true;
      notifyAll();
    }
    try {
      if (!thread.join(cluster.config().callLimit())) {
        throw new IOException("the purge of the pool's trash does not end; see 'ceph -s'");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the purge of the pool's trash was to end", e);
    }
  }
}
