package io.malleable.app;

import io.malleable.control.Targets;
import io.malleable.iscsi.Access;
import io.malleable.iscsi.ChapCredentials;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.TargetDefinition;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * The control plane's targets, made of volumes and the iSCSI server. Safe for all threads; calls
 * for one disk come after one another.
 */
final class TargetsOverIscsi implements Targets {
  private static final System.Logger LOG = System.getLogger(TargetsOverIscsi.class.getName());

  /** One lock for each disk would grow for ever; a few shared ones do not. */
  private static final int LOCKS = 64;

  /** Beyond the time that the store gives itself, for what a request does before and after. */
  private static final Duration WITHDRAW_MARGIN = Duration.ofSeconds(5);

  private record Defined(
      Definition definition, Volume volume, VolumeLogicalUnit unit, LongAdder failedLogins) {}

  private final VolumeStore volumes;
  private final IscsiServer server;
  private final Function<Definition, Optional<LogicalUnit>> identity;
  private final FullStoreReports fullStore;
  private final Duration withdrawLimit;
  private final Map<UUID, Defined> defined = new ConcurrentHashMap<>();

  /** Those of them that take no session any more, and whose I/O has not ended yet. */
  private final Set<UUID> leaving = ConcurrentHashMap.newKeySet();

  /**
   * Volumes without a target whose closing failed: whether their handle is free is only known when
   * they are closed once more.
   */
  private final Map<UUID, Volume> leftOpen = new ConcurrentHashMap<>();

  private final Lock[] locks = new Lock[LOCKS];

  /** Of targets that are gone, so that the totals never shrink. */
  private final LongAdder pastReadBytes = new LongAdder();

  private final LongAdder pastWrittenBytes = new LongAdder();
  private final LongAdder failedLogins = new LongAdder();

  /**
   * Makes targets of volumes.
   *
   * @param identity makes a node's second drive, where it shall have one
   * @param fullStore hears of writes for which there was no room
   * @param ioLimit within this a request on a volume ends, one way or the other
   */
  TargetsOverIscsi(
      VolumeStore volumes,
      IscsiServer server,
      Function<Definition, Optional<LogicalUnit>> identity,
      FullStoreReports fullStore,
      Duration ioLimit) {
    this.withdrawLimit = ioLimit.plus(WITHDRAW_MARGIN);
    this.fullStore = fullStore;
    this.volumes = volumes;
    this.server = server;
    this.identity = identity;
    Arrays.setAll(locks, i -> new ReentrantLock());
  }

  @Override
  public void define(Definition definition) throws IOException {
    UUID disk = definition.disk();
    Lock lock = lock(disk);
    lock.lock();
    try {
      Defined before = defined.get(disk);
      if (before != null && !leaving.contains(disk) && before.definition().equals(definition)) {
        return;
      }
      if (before != null) {
        // The log has what may be lost.
        Optional<String> _ = withdrawLocked(disk);
      }
      closeLeftOpen(disk);
      Volume volume = volumes.open(disk);
      boolean done = false;
      try {
        VolumeLogicalUnit unit =
            new VolumeLogicalUnit(
                volume, definition.writeCache(), why -> fullStore.onRefusal(disk, why));
        Map<Integer, LogicalUnit> units = new HashMap<>(Map.of(0, unit));
        identity.apply(definition).ifPresent(second -> units.put(1, second));
        server.define(new TargetDefinition(definition.name(), units, access(definition)));
        defined.put(disk, new Defined(definition, volume, unit, new LongAdder()));
        done = true;
      } finally {
        if (!done) {
          // What failed first is told; nothing was written that this could lose.
          Optional<String> _ = close(disk, volume);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** Nobody may open a volume that somebody has not closed. */
  private void closeLeftOpen(UUID disk) throws IOException {
    Optional<String> why = Optional.ofNullable(leftOpen.remove(disk)).flatMap(v -> close(disk, v));
    if (why.isPresent()) {
      throw new IOException(
          "the volume of the disk " + disk + " cannot be closed, so not be opened: " + why.get());
    }
  }

  private static Access access(Definition definition) {
    ChapCredentials chap =
        new ChapCredentials(definition.chap().username(), definition.chap().secret());
    return new Access(
        definition.initiator().map(Set::of).orElse(Set.of()), Optional.of(chap), Optional.empty());
  }

  @Override
  public Optional<String> withdraw(UUID disk) throws IOException {
    Lock lock = lock(disk);
    lock.lock();
    try {
      return withdrawLocked(disk);
    } finally {
      lock.unlock();
    }
  }

  private Optional<String> withdrawLocked(UUID disk) throws IOException {
    Defined target = defined.get(disk);
    if (target == null) {
      return Optional.ofNullable(leftOpen.remove(disk)).flatMap(volume -> close(disk, volume));
    }
    leaving.add(disk);
    // Returns when no command of the target is under way: nothing writes to the volume any more.
    try {
      server.withdraw(target.definition().name(), withdrawLimit);
    } catch (TimeoutException e) {
      throw new IOException("I/O of the disk " + disk + " does not end in its store", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the disk " + disk + " was withdrawn", e);
    }
    defined.remove(disk);
    leaving.remove(disk);
    pastReadBytes.add(target.unit().readBytes());
    pastWrittenBytes.add(target.unit().writtenBytes());
    return close(disk, target.volume());
  }

  /** Returns what kept the volume from being flushed, or from being closed at all. */
  private Optional<String> close(UUID disk, Volume volume) {
    try {
      volume.close();
      return Optional.empty();
    } catch (IOException | RuntimeException e) {
      LOG.log(
          System.Logger.Level.ERROR,
          "the disk " + disk + " was closed and not flushed: writes may be lost",
          e);
      leftOpen.put(disk, volume);
      return Optional.of(e.getMessage() == null ? e.toString() : e.getMessage());
    }
  }

  @Override
  public Set<UUID> defined() {
    Set<UUID> there = new HashSet<>(defined.keySet());
    there.removeAll(leaving);
    return there;
  }

  @Override
  public Use use(UUID disk) {
    Defined target = defined.get(disk);
    if (target == null) {
      return Use.NONE;
    }
    String name = target.definition().name();
    long sessions = server.sessions().stream().filter(s -> s.target().equals(name)).count();
    return new Use(
        Math.toIntExact(sessions),
        target.unit().readBytes(),
        target.unit().writtenBytes(),
        target.failedLogins().sum());
  }

  /** Counts a login that was refused; the target may be none of ours. */
  void onFailedLogin(Optional<UUID> disk) {
    failedLogins.increment();
    disk.map(defined::get).ifPresent(target -> target.failedLogins().increment());
  }

  long readBytes() {
    return pastReadBytes.sum()
        + defined.values().stream().mapToLong(t -> t.unit().readBytes()).sum();
  }

  long writtenBytes() {
    return pastWrittenBytes.sum()
        + defined.values().stream().mapToLong(t -> t.unit().writtenBytes()).sum();
  }

  long failedLogins() {
    return failedLogins.sum();
  }

  private Lock lock(UUID disk) {
    return locks[Math.floorMod(disk.hashCode(), LOCKS)];
  }
}
