package io.malleable.iscsi;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** A defined target with its units and sessions. Safe for any thread. */
final class Target {
  private final String name;
  private final Access access;
  private final SortedSet<Integer> portGroups;
  private final ReservationStore reservationStore;
  private final IscsiServerConfig config;

  /** Replaced as a whole when a LUN comes or goes. */
  private volatile Map<Integer, DeviceServer> devices;

  private final Set<Session> sessions = ConcurrentHashMap.newKeySet();
  private boolean leaving;

  Target(
      TargetDefinition definition,
      SortedSet<Integer> portGroups,
      ReservationStore reservationStore,
      IscsiServerConfig config)
      throws IOException {
    this.name = definition.name();
    this.access = definition.access();
    this.portGroups = portGroups;
    this.reservationStore = reservationStore;
    this.config = config;
    Map<Integer, DeviceServer> initial = new TreeMap<>();
    for (Map.Entry<Integer, LogicalUnit> entry : definition.luns().entrySet()) {
      initial.put(entry.getKey(), device(entry.getValue()));
    }
    this.devices = initial;
  }

  private DeviceServer device(LogicalUnit unit) throws IOException {
    return new DeviceServer(unit, reservationStore, config.storeFullBusy());
  }

  String name() {
    return name;
  }

  Access access() {
    return access;
  }

  SortedSet<Integer> portGroups() {
    return portGroups;
  }

  Collection<Integer> luns() {
    return devices.keySet();
  }

  Collection<DeviceServer> devices() {
    return devices.values();
  }

  @Nullable DeviceServer device(int lun) {
    return devices.get(lun);
  }

  synchronized void addLun(int lun, LogicalUnit unit) throws IOException {
    if (devices.containsKey(lun)) {
      throw new IllegalArgumentException("LUN " + lun + " of " + name + " exists already");
    }
    Map<Integer, DeviceServer> changed = new TreeMap<>(devices);
    changed.put(lun, device(unit));
    devices = changed;
    reportedLunsChanged();
  }

  /** The unit that was there, no longer reachable for new commands. */
  synchronized DeviceServer removeLun(int lun) {
    DeviceServer device = devices.get(lun);
    if (device == null) {
      throw new IllegalArgumentException("LUN " + lun + " of " + name + " does not exist");
    }
    Map<Integer, DeviceServer> changed = new TreeMap<>(devices);
    changed.remove(lun);
    devices = changed;
    reportedLunsChanged();
    return device;
  }

  private void reportedLunsChanged() {
    devices.values().forEach(d -> d.raiseForOthers(UnitAttention.REPORTED_LUNS_DATA_CHANGED, null));
  }

  /** Whether a session may still be added. */
  enum Admission {
    ADMITTED,
    /** A session of the same initiator port is there. */
    OCCUPIED,
    LEAVING,
    FULL
  }

  synchronized Admission add(Session session) {
    if (leaving) {
      return Admission.LEAVING;
    }
    if (sameNexus(session.nexus()) != null) {
      return Admission.OCCUPIED;
    }
    if (sessions.size() >= config.maxSessionsPerTarget()) {
      return Admission.FULL;
    }
    sessions.add(session);
    return Admission.ADMITTED;
  }

  void remove(Session session) {
    sessions.remove(session);
  }

  /** No session is added from now on; returns those that are there. */
  synchronized List<Session> leave() {
    leaving = true;
    return List.copyOf(sessions);
  }

  Collection<Session> sessions() {
    return sessions;
  }

  /** An older session of the same initiator port through the same target port. */
  @Nullable Session sameNexus(Nexus nexus) {
    for (Session session : sessions) {
      if (session.nexus().equals(nexus)) {
        return session;
      }
    }
    return null;
  }
}
