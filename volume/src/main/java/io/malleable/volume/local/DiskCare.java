package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Looks after the disks in use every few seconds: those that nobody has written to are made durable
 * and marked so, parts of them that nobody has written to get checksums, those whose storage failed
 * are recovered, several at a time. Threads of its own, as a recovery takes as long as writing the
 * disk does.
 */
final class DiskCare {
  private static final Logger LOG = System.getLogger(DiskCare.class.getName());
  private static final Duration PERIOD = Duration.ofSeconds(2);
  private static final int RECOVERIES_AT_ONCE = 4;
  private static final long RETRY_NANOS = Duration.ofSeconds(30).toNanos();
  private static final Duration END = Duration.ofSeconds(30);

  private final ActiveVolumes volumes;
  private final LongSupplier nanoTime;
  // Guarded by this.
  private final LiveSumming summing;
  private @Nullable UUID nextToSum;

  /** Recoveries under way, and those that failed: when the next attempt is due. */
  private final Map<UUID, Long> attempts = new ConcurrentHashMap<>();

  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile @Nullable Thread thread;
  private volatile @Nullable ExecutorService recoveries;

  /**
   * Looks after nothing yet.
   *
   * @param quiet what nobody has written to for so long gets checksums
   */
  DiskCare(ActiveVolumes volumes, SpaceGuard space, Duration quiet, LongSupplier nanoTime) {
    this.volumes = volumes;
    this.nanoTime = nanoTime;
    this.summing = new LiveSumming(space, quiet, nanoTime, this::ending);
  }

  /** Without this, disks are looked after only when called for. */
  void start() {
    recoveries =
        Executors.newFixedThreadPool(
            RECOVERIES_AT_ONCE, Thread.ofPlatform().daemon().name("volume-recovery-", 0).factory());
    thread = Thread.ofPlatform().daemon().name("volume-care").start(this::runUntilEnd);
  }

  private void runUntilEnd() {
    try {
      while (!ended.await(PERIOD.toMillis(), TimeUnit.MILLISECONDS)) {
        tick();
      }
    } catch (InterruptedException e) {
      LOG.log(Level.ERROR, "nobody looks after the disks in use any more", e);
    }
  }

  private void tick() {
    try {
      settleQuiet();
      ExecutorService workers = recoveries;
      for (UUID failed : volumes.failures().keySet()) {
        if (workers != null && attempt(failed)) {
          workers.execute(() -> recover(failed));
        }
      }
      sumQuiet();
    } catch (IOException | RuntimeException e) {
      LOG.log(Level.WARNING, "cannot look after the disks in use; next try soon", e);
    }
  }

  /** At once, in the thread of the caller. */
  void runAll() throws IOException {
    settleQuiet();
    for (UUID failed : volumes.failures().keySet()) {
      recover(failed);
    }
    sumQuiet();
  }

  private void settleQuiet() throws IOException {
    for (UUID id : volumes.openDisks()) {
      with("make durable", id, ActiveVolume::settleIfQuiet);
    }
  }

  /** Begins with the disk that had no turn when the last one was over. */
  private synchronized void sumQuiet() throws IOException {
    List<UUID> disks = new ArrayList<>(volumes.openDisks());
    Collections.rotate(disks, -Math.max(0, disks.indexOf(nextToSum)));
    summing.begin();
    for (UUID id : disks) {
      if (summing.exhausted()) {
        nextToSum = id;
        return;
      }
      with("make checksums of", id, summing::sum);
    }
  }

  private boolean attempt(UUID disk) {
    long now = nanoTime.getAsLong();
    Long due = attempts.get(disk);
    if (due != null && now - due < 0) {
      return false;
    }
    // Far enough for as long as this one takes; nanoTime has no largest value.
    attempts.put(disk, now + Long.MAX_VALUE / 2);
    return true;
  }

  /** What comes of it is logged. */
  void recover(UUID disk) {
    boolean done = with("recover", disk, active -> active.recover(this::ending));
    if (done) {
      attempts.remove(disk);
    } else {
      attempts.put(disk, nanoTime.getAsLong() + RETRY_NANOS);
    }
  }

  private interface Care {
    void of(ActiveVolume disk) throws IOException;
  }

  /** What fails is logged, and keeps no other disk from its turn. */
  private boolean with(String what, UUID id, Care care) {
    try {
      ActiveVolume disk = volumes.holdForCare(id);
      if (disk == null) {
        return true;
      }
      try {
        care.of(disk);
        return true;
      } finally {
        volumes.releaseFromCare(disk);
      }
    } catch (IOException | RuntimeException e) {
      LOG.log(Level.WARNING, "cannot " + what + " disk " + id, e);
      return false;
    }
  }

  /** Ends what is under way; returns when it has ended, but not later than after a while. */
  void end() {
    ended.countDown();
    try {
      Thread running = thread;
      if (running != null) {
        running.join(END);
      }
      ExecutorService workers = recoveries;
      if (workers != null) {
        workers.shutdown();
        workers.awaitTermination(END.toSeconds(), TimeUnit.SECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean ending() {
    return ended.getCount() == 0;
  }
}
