package io.malleable.iscsi;

import java.io.IOException;
import java.time.Duration;
import java.util.Comparator;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The state of one logical unit that its sessions share (SAM-5 4.8): reservations, mode pages, unit
 * attentions, the order between commands that must be atomic. Safe for any thread.
 */
final class DeviceServer {
  /** Longest READ, WRITE or VERIFY; told in the Block Limits page. */
  static final long MAX_TRANSFER_BYTES = 32L * 1024 * 1024;

  /** In which one command enters several units, so that no two wait for each other. */
  static final Comparator<DeviceServer> LOCK_ORDER = Comparator.comparingLong(d -> d.number);

  private static final AtomicLong NUMBERS = new AtomicLong();

  private final long number = NUMBERS.incrementAndGet();
  private final LogicalUnit logicalUnit;
  private final int blockShift;
  private final int concurrency;

  /** Bounds the commands that workers execute at once. */
  private final Semaphore permits;

  private final FullStore fullStore;
  private final Flusher flusher;
  private final PersistentReservations reservations;
  private final ModePages modePages;
  private final CopyOnWriteArrayList<NexusUnit> nexusUnits = new CopyOnWriteArrayList<>();

  private final MediumAccess access = new MediumAccess();

  private volatile long knownSizeBytes;
  private volatile boolean withdrawn;

  /** Holder of RESERVE(6) (SPC-2 7.21). */
  private volatile @Nullable NexusUnit reservedBy;

  DeviceServer(LogicalUnit logicalUnit, ReservationStore store, Duration storeFullBusy)
      throws IOException {
    this.logicalUnit = logicalUnit;
    this.blockShift = Integer.numberOfTrailingZeros(logicalUnit.blockSizeBytes());
    this.concurrency = logicalUnit.concurrency();
    this.permits = new Semaphore(Math.max(1, concurrency));
    this.fullStore = new FullStore(storeFullBusy, System::nanoTime);
    this.flusher = new Flusher(logicalUnit);
    this.reservations = new PersistentReservations(logicalUnit.identity().id(), store, this);
    this.modePages = new ModePages(logicalUnit);
    this.knownSizeBytes = logicalUnit.sizeBytes();
  }

  LogicalUnit logicalUnit() {
    return logicalUnit;
  }

  boolean concurrent() {
    return concurrency > 1;
  }

  Semaphore permits() {
    return permits;
  }

  FullStore fullStore() {
    return fullStore;
  }

  Flusher flusher() {
    return flusher;
  }

  int blockShift() {
    return blockShift;
  }

  /** Logical blocks per physical block, as a power of two (SBC-3 5.16). */
  int physicalBlockExponent() {
    int shift = Integer.numberOfTrailingZeros(logicalUnit.physicalBlockSizeBytes());
    return Math.clamp(shift - blockShift, 0, 15);
  }

  /** A unit that cannot be written has no provisioning to manage. */
  boolean thin() {
    return !logicalUnit.readOnly();
  }

  /** Whether a write may be answered before it is durable. */
  boolean writeCache() {
    return modePages.writeCache();
  }

  int blockSizeBytes() {
    return 1 << blockShift;
  }

  PersistentReservations reservations() {
    return reservations;
  }

  ModePages modePages() {
    return modePages;
  }

  MediumAccess access() {
    return access;
  }

  boolean withdrawn() {
    return withdrawn;
  }

  long blockCount() {
    return logicalUnit.sizeBytes() >>> blockShift;
  }

  /** Notices growth; called before each command, so it costs one comparison. */
  void noticeCapacity() {
    long sizeBytes = logicalUnit.sizeBytes();
    if (sizeBytes != knownSizeBytes) {
      knownSizeBytes = sizeBytes;
      raiseForOthers(UnitAttention.CAPACITY_DATA_CHANGED, null);
    }
  }

  void requireRange(long lba, long blocks) throws ScsiException {
    long count = blockCount();
    // All are unsigned on the wire; as signed numbers, negative ones are out of range too.
    if (lba < 0 || blocks < 0 || lba > count || blocks > count - lba) {
      throw SenseData.LBA_OUT_OF_RANGE.asException();
    }
  }

  void requireTransfer(long blocks, int fieldOffset) throws ScsiException {
    if (blocks > MAX_TRANSFER_BYTES >>> blockShift) {
      throw SenseData.invalidFieldInCdb(fieldOffset).asException();
    }
  }

  void requireWritable() throws ScsiException {
    if (logicalUnit.readOnly() || modePages.softwareWriteProtect()) {
      throw SenseData.WRITE_PROTECTED.asException();
    }
  }

  /**
   * Begins an access to the medium that may run beside others; ends with {@code unlockRead}.
   * Whether the task is void is asked here and nowhere before: what an abort has waited for is
   * over, and what comes after it finds that it came too late.
   */
  long enterShared(Task task) throws ScsiException {
    long stamp = access.shared(task);
    if (task.isVoid() || withdrawn) {
      access.unlockRead(stamp);
      throw refusal(task);
    }
    return stamp;
  }

  /** Begins an access that must run alone; ends with {@code unlockWrite}. */
  long enterExclusive(Task task) throws ScsiException {
    long stamp = access.exclusive(task);
    if (task.isVoid() || withdrawn) {
      access.unlockWrite(stamp);
      throw refusal(task);
    }
    return stamp;
  }

  /** Begins an access that is alone on the blocks of its task; ends with {@link #exitAtomic}. */
  void enterAtomic(Task task) throws ScsiException {
    access.beginAtomicWrite(task, enterExclusive(task));
  }

  void exitAtomic() {
    access.endAtomicWrite();
  }

  private static ScsiException refusal(Task task) {
    return task.isVoid() ? new TaskAbortedException() : SenseData.LUN_NOT_SUPPORTED.asException();
  }

  /**
   * Waits until nothing reaches the medium, and keeps it so until {@code unlockWrite}.
   *
   * @return 0 when an access did not end within the limit
   */
  long tryEnterExclusive(long waitLimitMillis) {
    return access.tryExclusive(waitLimitMillis);
  }

  void attach(NexusUnit unit) {
    unit.raise(UnitAttention.POWER_ON);
    nexusUnits.add(unit);
  }

  /** The nexus is gone: logout, loss of the connection or removal of the LUN. */
  void detach(NexusUnit unit) {
    nexusUnits.remove(unit);
    synchronized (this) {
      if (reservedBy == unit) {
        reservedBy = null;
      }
    }
  }

  boolean removalPrevented() {
    for (NexusUnit unit : nexusUnits) {
      if (unit.preventsRemoval()) {
        return true;
      }
    }
    return false;
  }

  synchronized boolean reserve(NexusUnit unit) {
    NexusUnit holder = reservedBy;
    if (holder != null && holder != unit) {
      return false;
    }
    reservedBy = unit;
    return true;
  }

  /** Releasing what another holds succeeds and changes nothing (SPC-2 7.22). */
  synchronized void release(NexusUnit unit) {
    if (reservedBy == unit) {
      reservedBy = null;
    }
  }

  boolean reservedByOther(NexusUnit unit) {
    NexusUnit holder = reservedBy;
    return holder != null && holder != unit;
  }

  boolean reservedSimply() {
    return reservedBy != null;
  }

  void raiseFor(Nexus nexus, UnitAttention attention) {
    for (NexusUnit unit : nexusUnits) {
      if (unit.nexus().equals(nexus)) {
        unit.raise(attention);
      }
    }
  }

  void raiseForOthers(UnitAttention attention, @Nullable NexusUnit except) {
    for (NexusUnit unit : nexusUnits) {
      if (unit != except) {
        unit.raise(attention);
      }
    }
  }

  /**
   * LOGICAL UNIT RESET (SAM-5 6.3.3): waits for what is being done to the medium, then makes every
   * task that started before void.
   *
   * @return false when an access did not end within the limit; nothing has changed then
   */
  boolean reset(long waitLimitMillis) {
    long stamp = tryEnterExclusive(waitLimitMillis);
    if (stamp == 0) {
      return false;
    }
    try {
      synchronized (this) {
        reservedBy = null;
      }
      modePages.reset();
      for (NexusUnit unit : nexusUnits) {
        unit.preventRemoval(false);
        unit.abortTasks();
        unit.raise(UnitAttention.DEVICE_RESET);
      }
      return true;
    } finally {
      access.unlockWrite(stamp);
    }
  }

  /**
   * CLEAR TASK SET (SAM-5 7.5): there is one task set for all nexuses (TST 0 in the Control mode
   * page). Waits for what is being done to the medium first.
   *
   * @return false when an access did not end within the limit; nothing has changed then
   */
  boolean clearTaskSet(NexusUnit requester, long waitLimitMillis) {
    long stamp = tryEnterExclusive(waitLimitMillis);
    if (stamp == 0) {
      return false;
    }
    try {
      for (NexusUnit unit : nexusUnits) {
        if (unit == requester) {
          unit.abortTasks();
        } else {
          unit.clearTasks();
        }
      }
      return true;
    } finally {
      access.unlockWrite(stamp);
    }
  }

  /** Makes void what the nexus has begun; called while nothing reaches the medium. */
  void abortTasksOf(Nexus nexus) {
    for (NexusUnit unit : nexusUnits) {
      if (unit.nexus().equals(nexus)) {
        unit.abortTasks();
      }
    }
  }

  /** No access or flush begins any more; returns false when one did not end within the limit. */
  boolean withdraw(long waitLimitMillis) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(waitLimitMillis);
    withdrawn = true;
    long stamp = tryEnterExclusive(waitLimitMillis);
    if (stamp == 0) {
      return false;
    }
    access.unlockWrite(stamp);
    return flusher.close(TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()));
  }
}
