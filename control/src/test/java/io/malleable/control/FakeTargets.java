package io.malleable.control;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/** Targets without a wire. They hold the volumes open like real ones, so misuse shows. */
final class FakeTargets implements Targets {
  private final VolumeStore volumes;
  private final Map<UUID, Definition> definitions = new ConcurrentHashMap<>();
  private final Map<UUID, Volume> open = new ConcurrentHashMap<>();
  private static final Reservations NO_RESERVATIONS =
      new Reservations(Optional.empty(), false, List.of());

  private final Map<UUID, Reservations> reserved = new ConcurrentHashMap<>();
  volatile boolean failsToClearReservations;
  private final Map<UUID, Use> uses = new ConcurrentHashMap<>();
  final List<String> calls = new ArrayList<>();
  volatile boolean failsToDefine;
  volatile Optional<UUID> refused = Optional.empty();
  volatile boolean failsToWithdraw;
  volatile boolean failsToFlush;

  FakeTargets(VolumeStore volumes) {
    this.volumes = volumes;
  }

  @Override
  public synchronized void define(Definition definition) throws IOException {
    if (failsToDefine) {
      throw new IOException("no target today");
    }
    if (refused.equals(Optional.of(definition.disk()))) {
      throw new IllegalArgumentException("not a target");
    }
    if (definition.equals(definitions.get(definition.disk()))) {
      return;
    }
    var _ = withdraw(definition.disk());
    open.put(definition.disk(), volumes.open(definition.disk()));
    definitions.put(definition.disk(), definition);
    calls.add("define for " + definition.identity().map(who -> who.node().name()).orElse("anyone"));
  }

  @Override
  public synchronized Optional<String> withdraw(UUID disk) throws IOException {
    if (failsToWithdraw) {
      throw new IOException("the target hangs");
    }
    Volume volume = open.remove(disk);
    if (volume != null) {
      volume.close();
      calls.add("withdraw");
    }
    definitions.remove(disk);
    uses.remove(disk);
    return volume != null && failsToFlush ? Optional.of("no sync today") : Optional.empty();
  }

  @Override
  public Set<UUID> defined() {
    return Set.copyOf(definitions.keySet());
  }

  @Override
  public Use use(UUID disk) {
    return uses.getOrDefault(disk, Use.NONE);
  }

  @Override
  public Optional<Reservations> reservations(UUID disk) {
    return definitions.containsKey(disk)
        ? Optional.of(reserved.getOrDefault(disk, NO_RESERVATIONS))
        : Optional.empty();
  }

  @Override
  public void clearReservations(UUID disk) throws IOException {
    if (failsToClearReservations) {
      throw new IOException("no reservations can be saved today");
    }
    reserved.remove(disk);
  }

  /** What a machine reserves outlives its target until somebody clears it. */
  void reserve(UUID disk) {
    Registrant holder = new Registrant("iqn.2026-11.test:machine", "00023d000001", 1, true);
    reserved.put(disk, new Reservations(Optional.of("exclusive-access"), true, List.of(holder)));
  }

  boolean isReserved(UUID disk) {
    return reserved.containsKey(disk);
  }

  void setUse(UUID disk, Use use) {
    uses.put(disk, use);
  }

  Definition definition(UUID disk) {
    Definition definition = definitions.get(disk);
    if (definition == null) {
      throw new AssertionError("no target for " + disk);
    }
    return definition;
  }
}
