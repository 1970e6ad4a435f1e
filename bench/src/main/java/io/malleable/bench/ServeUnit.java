package io.malleable.bench;

import io.malleable.app.VolumeLogicalUnit;
import io.malleable.iscsi.Access;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.IscsiServerConfig;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.Portal;
import io.malleable.iscsi.ReservationStore;
import io.malleable.iscsi.TargetDefinition;
import io.malleable.iscsi.TargetListener;
import io.malleable.volume.LocalVolumeStore;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.rbd.RbdConfig;
import io.malleable.volume.rbd.RbdVolumeStore;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * The process that a benchmark loads: our target with one unit, and nothing else. Prints the port,
 * then serves until its standard input ends.
 *
 * <p>Arguments: {@code null SIZE}, {@code local DIRECTORY VOLUME} or {@code rbd CONF VOLUME}.
 */
final class ServeUnit {
  static final String IQN = "iqn.2026-11.io.malleable.bench:m2";

  private static final int MAX_SESSIONS = 4000;

  private ServeUnit() {}

  public static void main(String[] arguments) throws IOException {
    switch (arguments[0]) {
      case "null" -> serve(new NullUnit(Long.parseLong(arguments[1])));
      case "local" ->
          serve(LocalVolumeStore.open(Path.of(arguments[1])), UUID.fromString(arguments[2]));
      case "rbd" ->
          serve(
              RbdVolumeStore.open(
                  new RbdConfig(
                      Path.of(arguments[1]),
                      "m2",
                      "m2",
                      Duration.ofSeconds(10),
                      UUID.randomUUID())),
              UUID.fromString(arguments[2]));
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  private static void serve(VolumeStore store, UUID id) throws IOException {
    try (store;
        Volume volume = store.open(id)) {
      serve(new VolumeLogicalUnit(volume));
    }
  }

  private static void serve(LogicalUnit unit) throws IOException {
    Portal portal = new Portal(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1);
    try (IscsiServer server =
        new IscsiServer(
            IscsiServerConfig.of(List.of(portal)).withMaxSessionsPerTarget(MAX_SESSIONS),
            ReservationStore.none(),
            new TargetListener() {})) {
      server.define(new TargetDefinition(IQN, Map.of(0, unit), Access.open()));
      System.out.println(server.open().getFirst().address().getPort());
      System.out.flush();
      System.in.transferTo(java.io.OutputStream.nullOutputStream());
    }
  }
}
