package io.malleable.iscsi;

import java.time.Instant;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * One session, which has one connection (MaxConnections is 1). The units belong to the connection
 * thread; the counters can be read by any.
 */
final class Session {
  private static final AtomicLong IDS = new AtomicLong();

  private final long id = IDS.incrementAndGet();
  private final Instant since = Instant.now();
  private final Connection connection;

  /** Absent for a discovery session. */
  private final @Nullable Target target;

  private final Nexus nexus;
  private final int tsih;
  private final NegotiatedParameters parameters;
  private @Nullable NexusUnit[] units = new NexusUnit[1];

  private final AtomicLong readCommands = new AtomicLong();
  private final AtomicLong readBytes = new AtomicLong();
  private final AtomicLong writeCommands = new AtomicLong();
  private final AtomicLong writtenBytes = new AtomicLong();

  Session(
      Connection connection,
      @Nullable Target target,
      Nexus nexus,
      int tsih,
      NegotiatedParameters parameters) {
    this.connection = connection;
    this.target = target;
    this.nexus = nexus;
    this.tsih = tsih;
    this.parameters = parameters;
  }

  Connection connection() {
    return connection;
  }

  @Nullable Target target() {
    return target;
  }

  Nexus nexus() {
    return nexus;
  }

  int tsih() {
    return tsih;
  }

  NegotiatedParameters parameters() {
    return parameters;
  }

  /** The unit at a LUN, or null when there is none now. */
  @Nullable NexusUnit unit(int lun) {
    Target t = target;
    if (t == null) {
      return null;
    }
    DeviceServer device = t.device(lun);
    NexusUnit known = lun < units.length ? units[lun] : null;
    if (known != null && known.device() == device) {
      return known;
    }
    return rebind(t, lun, known, device);
  }

  private @Nullable NexusUnit rebind(
      Target t, int lun, @Nullable NexusUnit known, @Nullable DeviceServer device) {
    if (known != null) {
      known.device().detach(known);
      units[lun] = null;
    }
    if (device == null) {
      return null;
    }
    if (lun >= units.length) {
      units = Arrays.copyOf(units, lun + 1);
    }
    NexusUnit unit = new NexusUnit(nexus, device, t, lun);
    units[lun] = unit;
    device.attach(unit);
    return unit;
  }

  /** Attaches to every LUN, so that unit attentions reach this session from now on. */
  void attachAll() {
    Target t = target;
    if (t != null) {
      t.luns().forEach(this::unit);
    }
  }

  /** I_T nexus loss: what this session alone held is free again. */
  void detachAll() {
    for (NexusUnit unit : units) {
      if (unit != null) {
        unit.abortTasks();
        unit.device().detach(unit);
      }
    }
    units = new NexusUnit[1];
  }

  @Nullable NexusUnit[] units() {
    return units;
  }

  /** Returns whether it was the first. */
  boolean countRead(long bytes) {
    readBytes.getAndAdd(bytes);
    return readCommands.getAndIncrement() == 0;
  }

  boolean countWrite(long bytes) {
    writtenBytes.getAndAdd(bytes);
    return writeCommands.getAndIncrement() == 0;
  }

  SessionInfo info() {
    Target t = target;
    return new SessionInfo(
        id,
        nexus.initiatorName(),
        nexus.isid(),
        t == null ? "" : t.name(),
        nexus.relativeTargetPort(),
        connection.remoteAddress(),
        since,
        parameters.headerDigest(),
        parameters.dataDigest(),
        readCommands.get(),
        readBytes.get(),
        writeCommands.get(),
        writtenBytes.get());
  }
}
