package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * PERSISTENT RESERVE IN and OUT of one logical unit (SPC-4 5.13, 6.15, 6.16). Every change replaces
 * the state as a whole, after it was saved where APTPL asks for that: what an initiator was told is
 * what a restart finds. Safe for any thread.
 */
final class PersistentReservations {
  private static final int REGISTER = 0;
  private static final int RESERVE = 1;
  private static final int RELEASE = 2;
  private static final int CLEAR = 3;
  private static final int PREEMPT = 4;
  private static final int PREEMPT_AND_ABORT = 5;
  private static final int REGISTER_AND_IGNORE = 6;

  private static final int LIST_BYTES = 24;
  private static final int SPEC_I_PT = 0x08;
  private static final int ALL_TG_PT = 0x04;
  private static final int APTPL = 0x01;
  private static final int MAX_REGISTRATIONS = 256;
  private static final long ABORT_WAIT_MILLIS = 5_000;

  private static final SenseData INVALID_RELEASE = new SenseData(SenseData.ILLEGAL_REQUEST, 0x2604);
  private static final SenseData OPERATION_IN_PROGRESS = new SenseData(SenseData.NOT_READY, 0x0407);
  private static final SenseData INSUFFICIENT_REGISTRATIONS =
      new SenseData(SenseData.ILLEGAL_REQUEST, 0x5504);

  private final UUID logicalUnit;
  private final ReservationStore store;
  private final DeviceServer device;
  private volatile ReservationState state;

  PersistentReservations(UUID logicalUnit, ReservationStore store, DeviceServer device)
      throws IOException {
    this.logicalUnit = logicalUnit;
    this.store = store;
    this.device = device;
    var saved = store.load(logicalUnit);
    this.state = saved.isPresent() ? ReservationState.decode(saved.get()) : ReservationState.EMPTY;
  }

  ReservationState state() {
    return state;
  }

  /**
   * Ends all of them, whoever holds them, as CLEAR of a registrant does: for an administrator, and
   * for whoever gives the unit to somebody else.
   */
  synchronized void clearForAll() throws IOException {
    ReservationState now = state;
    if (now.keys().isEmpty()) {
      return;
    }
    change(
        now.withKeys(Map.of())
            .withReservation(ReservationState.NO_RESERVATION, null)
            .withPersistence(false)
            .nextGeneration());
    now.keys().keySet().forEach(n -> device.raiseFor(n, UnitAttention.RESERVATIONS_PREEMPTED));
  }

  boolean anyRegistration() {
    return !state.keys().isEmpty();
  }

  /** Whether a command of this nexus must end in RESERVATION CONFLICT. */
  boolean conflicts(Nexus nexus, CommandSpec.ReservationAccess access) {
    ReservationState now = state;
    if (now.type() == ReservationState.NO_RESERVATION
        || access == CommandSpec.ReservationAccess.FREE
        || now.heldBy(nexus)) {
      return false;
    }
    if (now.registrantsShare() && now.registered(nexus)) {
      return false;
    }
    return now.exclusiveAccess() || access == CommandSpec.ReservationAccess.WRITE;
  }

  void reserveIn(Task task) throws ScsiException {
    ReservationState now = state;
    switch (Cdb.u8(task.cdb, 1) & 0x1f) {
      case 0 -> task.reply(readKeys(now));
      case 1 -> task.reply(readReservation(now));
      case 2 -> task.reply(reportCapabilities());
      case 3 -> task.reply(readFullStatus(now));
      default -> throw SenseData.invalidFieldInCdb(1).asException();
    }
  }

  private static byte[] readKeys(ReservationState now) {
    ByteBuffer out = ByteBuffer.allocate(8 + 8 * now.keys().size());
    out.putInt(now.generation()).putInt(8 * now.keys().size());
    now.keys().values().forEach(out::putLong);
    return out.array();
  }

  private static byte[] readReservation(ReservationState now) {
    if (now.type() == ReservationState.NO_RESERVATION) {
      return ByteBuffer.allocate(8).putInt(now.generation()).putInt(0).array();
    }
    ByteBuffer out = ByteBuffer.allocate(24);
    out.putInt(now.generation()).putInt(16);
    // All registrants hold it, so there is no one key to tell (SPC-4 6.15.3.3).
    Long key = now.holder() == null ? null : now.keys().get(now.holder());
    out.putLong(now.allRegistrants() || key == null ? 0 : key);
    out.putInt(0).put((byte) 0).put((byte) now.type());
    return out.array();
  }

  private byte[] reportCapabilities() {
    ByteBuffer out = ByteBuffer.allocate(8).putShort((short) 8);
    boolean canPersist = store != VolatileReservations.INSTANCE;
    out.put((byte) (canPersist ? APTPL : 0));
    // TMV: the type mask is valid.
    out.put((byte) (0x80 | (state.persistThroughPowerLoss() ? 0x01 : 0)));
    return out.put((byte) 0xea).put((byte) 0x01).array();
  }

  private static byte[] readFullStatus(ReservationState now) {
    List<byte[]> descriptors = new ArrayList<>();
    int length = 0;
    for (Map.Entry<Nexus, Long> entry : now.keys().entrySet()) {
      byte[] transportId = entry.getKey().transportId();
      ByteBuffer descriptor = ByteBuffer.allocate(24 + transportId.length);
      descriptor.putLong(entry.getValue()).putInt(0);
      boolean holds = now.heldBy(entry.getKey());
      descriptor.put((byte) (holds ? 0x01 : 0)).put((byte) (holds ? now.type() : 0)).putInt(0);
      descriptor.putShort((short) entry.getKey().relativeTargetPort());
      descriptor.putInt(transportId.length).put(transportId);
      descriptors.add(descriptor.array());
      length += descriptor.capacity();
    }
    ByteBuffer out = ByteBuffer.allocate(8 + length).putInt(now.generation()).putInt(length);
    descriptors.forEach(out::put);
    return out.array();
  }

  synchronized void reserveOut(Task task) throws ScsiException, IOException {
    byte[] list = task.parameterList();
    int action = Cdb.u8(task.cdb, 1) & 0x1f;
    if (action > REGISTER_AND_IGNORE) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
    if (list.length != LIST_BYTES || Cdb.u32(task.cdb, 5) != LIST_BYTES) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    if (Cdb.bit(list, 20, SPEC_I_PT | ALL_TG_PT)) {
      throw SenseData.invalidFieldInParameterList(20).asException();
    }
    Nexus nexus = task.unit().nexus();
    long key = Cdb.u64(list, 0);
    long serviceActionKey = Cdb.u64(list, 8);
    switch (action) {
      case REGISTER, REGISTER_AND_IGNORE ->
          register(
              nexus, action == REGISTER ? key : null, serviceActionKey, Cdb.bit(list, 20, APTPL));
      case RESERVE -> reserve(nexus, key, type(task));
      case RELEASE -> release(nexus, key, type(task));
      case CLEAR -> clear(nexus, key);
      case PREEMPT -> preempt(nexus, key, serviceActionKey, type(task));
      case PREEMPT_AND_ABORT -> preemptAndAbort(nexus, key, serviceActionKey, type(task));
      default -> throw new IllegalStateException("service action " + action);
    }
  }

  private static int type(Task task) throws ScsiException {
    int scope = Cdb.u8(task.cdb, 2) >> 4;
    int type = Cdb.u8(task.cdb, 2) & 0x0f;
    boolean known = type == 1 || type == 3 || (type >= 5 && type <= 8);
    if (scope != 0 || !known) {
      throw SenseData.invalidFieldInCdb(2).asException();
    }
    return type;
  }

  private void register(Nexus nexus, @Nullable Long presentedKey, long newKey, boolean persist)
      throws ScsiException, IOException {
    ReservationState now = state;
    if (persist && store == VolatileReservations.INSTANCE) {
      throw SenseData.invalidFieldInParameterList(20).asException();
    }
    long currentKey = now.keys().getOrDefault(nexus, 0L);
    if (presentedKey != null && presentedKey != currentKey) {
      throw new ReservationConflictException();
    }
    if (newKey == 0 && !now.registered(nexus)) {
      return;
    }
    if (newKey == 0) {
      unregister(nexus, persist);
      return;
    }
    if (!now.registered(nexus) && now.keys().size() >= MAX_REGISTRATIONS) {
      throw INSUFFICIENT_REGISTRATIONS.asException();
    }
    Map<Nexus, Long> keys = new LinkedHashMap<>(now.keys());
    keys.put(nexus, newKey);
    change(now.withKeys(keys).withPersistence(persist).nextGeneration());
  }

  private void unregister(Nexus nexus, boolean persist) throws IOException {
    ReservationState now = state;
    Map<Nexus, Long> keys = new LinkedHashMap<>(now.keys());
    keys.remove(nexus);
    ReservationState next = now.withKeys(keys).withPersistence(persist).nextGeneration();
    boolean ends = now.allRegistrants() ? keys.isEmpty() : nexus.equals(now.holder());
    if (ends) {
      next = next.withReservation(ReservationState.NO_RESERVATION, null);
    }
    change(next);
    if (ends && now.registrantsShare()) {
      keys.keySet().forEach(n -> device.raiseFor(n, UnitAttention.RESERVATIONS_RELEASED));
    }
  }

  private void requireKey(Nexus nexus, long key) throws ScsiException {
    Long registered = state.keys().get(nexus);
    if (registered == null || registered != key) {
      throw new ReservationConflictException();
    }
  }

  private void reserve(Nexus nexus, long key, int type) throws ScsiException, IOException {
    requireKey(nexus, key);
    ReservationState now = state;
    if (now.type() == ReservationState.NO_RESERVATION) {
      change(now.withReservation(type, nexus));
    } else if (!now.heldBy(nexus) || now.type() != type) {
      throw new ReservationConflictException();
    }
  }

  private void release(Nexus nexus, long key, int type) throws ScsiException, IOException {
    requireKey(nexus, key);
    ReservationState now = state;
    if (!now.heldBy(nexus)) {
      return;
    }
    if (now.type() != type) {
      throw INVALID_RELEASE.asException();
    }
    change(now.withReservation(ReservationState.NO_RESERVATION, null));
    if (now.registrantsShare()) {
      raiseForRegistrants(now, nexus, UnitAttention.RESERVATIONS_RELEASED);
    }
  }

  private void clear(Nexus nexus, long key) throws ScsiException, IOException {
    requireKey(nexus, key);
    ReservationState now = state;
    change(
        now.withKeys(Map.of())
            .withReservation(ReservationState.NO_RESERVATION, null)
            .nextGeneration());
    raiseForRegistrants(now, nexus, UnitAttention.RESERVATIONS_PREEMPTED);
  }

  /**
   * GOOD means that no write of the preempted can reach the medium any more (SPC-4 5.13.11.5).
   * While the store still holds one, nothing is preempted, so that the initiator can try again.
   */
  private void preemptAndAbort(Nexus nexus, long key, long victimKey, int type)
      throws ScsiException, IOException {
    requireKey(nexus, key);
    long stamp = device.tryEnterExclusive(ABORT_WAIT_MILLIS);
    if (stamp == 0) {
      throw OPERATION_IN_PROGRESS.asException();
    }
    try {
      preempt(nexus, key, victimKey, type).forEach(device::abortTasksOf);
    } finally {
      device.access().unlockWrite(stamp);
    }
  }

  /** Returns the nexuses whose registrations are gone (SPC-4 5.13.11.4). */
  private List<Nexus> preempt(Nexus nexus, long key, long victimKey, int type)
      throws ScsiException, IOException {
    requireKey(nexus, key);
    ReservationState now = state;
    boolean reserved = now.type() != ReservationState.NO_RESERVATION;
    if (victimKey == 0 && !now.allRegistrants()) {
      throw SenseData.invalidFieldInParameterList(8).asException();
    }
    Long holderKey = now.holder() == null ? null : now.keys().get(now.holder());
    boolean takesOver =
        reserved
            && (now.allRegistrants()
                ? victimKey == 0
                : holderKey != null && holderKey == victimKey);
    List<Nexus> removed = new ArrayList<>();
    Map<Nexus, Long> keys = new LinkedHashMap<>(now.keys());
    for (Map.Entry<Nexus, Long> entry : now.keys().entrySet()) {
      boolean matches = victimKey == 0 || entry.getValue() == victimKey;
      if (matches && !entry.getKey().equals(nexus)) {
        removed.add(entry.getKey());
        keys.remove(entry.getKey());
      }
    }
    if (removed.isEmpty() && !takesOver && !now.keys().containsValue(victimKey)) {
      throw new ReservationConflictException();
    }
    ReservationState next = now.withKeys(keys).nextGeneration();
    change(takesOver ? next.withReservation(type, nexus) : next);
    removed.forEach(n -> device.raiseFor(n, UnitAttention.REGISTRATIONS_PREEMPTED));
    if (takesOver && now.type() != type) {
      raiseForRegistrants(state, nexus, UnitAttention.RESERVATIONS_RELEASED);
    }
    return removed;
  }

  private void raiseForRegistrants(ReservationState of, Nexus except, UnitAttention attention) {
    for (Nexus nexus : of.keys().keySet()) {
      if (!nexus.equals(except)) {
        device.raiseFor(nexus, attention);
      }
    }
  }

  private void change(ReservationState next) throws IOException {
    if (next.persistThroughPowerLoss()) {
      store.save(logicalUnit, next.encode());
    } else if (state.persistThroughPowerLoss()) {
      store.save(logicalUnit, new byte[0]);
    }
    state = next;
  }
}
