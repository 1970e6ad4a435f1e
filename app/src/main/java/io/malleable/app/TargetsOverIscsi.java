package io.malleable.app;

import io.malleable.control.Targets;
import io.malleable.iscsi.Access;
import io.malleable.iscsi.ChapCredentials;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.ReservationReport;
import io.malleable.iscsi.ReservationStore;
import io.malleable.iscsi.TargetDefinition;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
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
  /** One lock for each disk would grow for ever; a few shared ones do not. */
  private static final int LOCKS = 64;

  /** Beyond the time that the store gives itself, for what a request does before and after. */
  private static final Duration WITHDRAW_MARGIN = Duration.ofSeconds(5);

  private static final int BOOT_DRIVE = 0;
  private static final int IDENTITY_DRIVE = 1;
  private static final int ISID_DIGITS = 12;

  private record Defined(
      Definition definition, Volume volume, VolumeLogicalUnit unit, LongAdder failedLogins) {}

  private final VolumeStore volumes;
  private final IscsiServer server;
  private final ReservationStore saved;
  private final Function<Definition, Optional<LogicalUnit>> identity;
  private final FullStoreReports fullStore;
  private final Duration withdrawLimit;
  private final Map<UUID, Defined> defined = new ConcurrentHashMap<>();
  private final Lock[] locks = new Lock[LOCKS];

  /** Of targets that are gone, so that the totals never shrink. */
  private final LongAdder pastReadBytes = new LongAdder();

  private final LongAdder pastWrittenBytes = new LongAdder();
  private final LongAdder failedLogins = new LongAdder();

  /**
   * Makes targets of volumes.
   *
   * @param saved where the server keeps reservations
   * @param identity makes a node's second drive, where it shall have one
   * @param fullStore hears of writes that a full store refused
   * @param ioLimit within this a request on a volume ends, one way or the other
   */
  TargetsOverIscsi(
      VolumeStore volumes,
      IscsiServer server,
      ReservationStore saved,
      Function<Definition, Optional<LogicalUnit>> identity,
      FullStoreReports fullStore,
      Duration ioLimit) {
    this.withdrawLimit = ioLimit.plus(WITHDRAW_MARGIN);
    this.fullStore = fullStore;
    this.volumes = volumes;
    this.server = server;
    this.saved = saved;
    this.identity = identity;
    Arrays.setAll(locks, i -> new ReentrantLock());
  }

  @Override
  public void define(Definition definition) throws IOException {
    Lock lock = lock(definition.disk());
    lock.lock();
    try {
      Defined before = defined.get(definition.disk());
      if (before != null && before.definition().equals(definition)) {
        return;
      }
      withdrawLocked(definition.disk());
      Volume volume = volumes.open(definition.disk());
      try {
        VolumeLogicalUnit unit =
            new VolumeLogicalUnit(volume, () -> fullStore.onRefusal(definition.disk()));
        Map<Integer, LogicalUnit> units = new HashMap<>(Map.of(BOOT_DRIVE, unit));
        identity.apply(definition).ifPresent(second -> units.put(IDENTITY_DRIVE, second));
        server.define(new TargetDefinition(definition.name(), units, access(definition)));
        defined.put(definition.disk(), new Defined(definition, volume, unit, new LongAdder()));
      } catch (IOException | RuntimeException e) {
        volume.close();
        throw e;
      }
    } finally {
      lock.unlock();
    }
  }

  private static Access access(Definition definition) {
    ChapCredentials chap =
        new ChapCredentials(definition.chap().username(), definition.chap().secret());
    return new Access(
        definition.initiator().map(Set::of).orElse(Set.of()), Optional.of(chap), Optional.empty());
  }

  @Override
  public void withdraw(UUID disk) throws IOException {
    Lock lock = lock(disk);
    lock.lock();
    try {
      withdrawLocked(disk);
    } finally {
      lock.unlock();
    }
  }

  private void withdrawLocked(UUID disk) throws IOException {
    Defined target = defined.get(disk);
    if (target == null) {
      return;
    }
    // Returns when no command of the target is under way: nothing writes to the volume any more.
    try {
      server.withdraw(target.definition().name(), withdrawLimit);
    } catch (TimeoutException e) {
      throw new IOException("I/O of the disk " + disk + " does not end in its store", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the disk " + disk + " was withdrawn", e);
    }
    target.volume().close();
    defined.remove(disk);
    pastReadBytes.add(target.unit().readBytes());
    pastWrittenBytes.add(target.unit().writtenBytes());
  }

  @Override
  public Set<UUID> defined() {
    return Set.copyOf(defined.keySet());
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

  @Override
  public Optional<Reservations> reservations(UUID disk) {
    return Optional.ofNullable(defined.get(disk))
        .flatMap(target -> server.reservations(target.definition().name(), BOOT_DRIVE))
        .map(TargetsOverIscsi::reservations);
  }

  private static Reservations reservations(ReservationReport report) {
    return new Reservations(
        report.type(),
        report.persistent(),
        report.registrants().stream()
            .map(r ->
                new Registrant(
                    r.initiator(),
                    HexFormat.of().toHexDigits(r.isid(), ISID_DIGITS),
                    r.key(),
                    r.holder()))
            .toList());
  }

  @Override
  public void clearReservations(UUID disk) throws IOException {
    Lock lock = lock(disk);
    lock.lock();
    try {
      Defined target = defined.get(disk);
      if (target != null) {
        server.clearReservations(target.definition().name(), BOOT_DRIVE);
        server.clearReservations(target.definition().name(), IDENTITY_DRIVE);
      }
      // Also what an earlier binding left, of which no unit knows any more.
      saved.save(disk, new byte[0]);
      saved.save(IdentityUnit.id(disk), new byte[0]);
    } finally {
      lock.unlock();
    }
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
