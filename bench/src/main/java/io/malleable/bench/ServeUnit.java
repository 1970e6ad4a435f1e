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
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.LocalVolumeStore;
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
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The process that a benchmark loads: our target with one unit, and nothing else. Prints the port,
 * then serves until its standard input ends. Where it knows the image of its volume, each line of
 * the input makes another clone of it in place of the one before, whose target it prints.
 *
 * <p>Arguments: {@code null SIZE}, {@code local DIRECTORY VOLUME [IMAGE]} or {@code rbd CONF
 * VOLUME}.
 */
final class ServeUnit {
  static final String IQN = "iqn.2026-11.io.malleable.bench:m2";

  static final int ARGUMENTS_FOR_CLONES = 4;

  private static final int MAX_SESSIONS = 4000;
  private static final Duration WITHDRAW_LIMIT = Duration.ofSeconds(30);

  private ServeUnit() {}

  /** What the lines of the input do. */
  private interface Lines {
    void next(IscsiServer server) throws IOException;
  }

  public static void main(String[] arguments) throws IOException {
    switch (arguments[0]) {
      case "null" -> serve(new NullUnit(Long.parseLong(arguments[1])), _ -> {});
      case "local" -> {
        VolumeStore store = LocalVolumeStore.open(Path.of(arguments[1]));
        UUID volume = UUID.fromString(arguments[2]);
        if (arguments.length == ARGUMENTS_FOR_CLONES) {
          Clones clones = new Clones(store, UUID.fromString(arguments[3]));
          serve(store, volume, clones::next);
        } else {
          serve(store, volume, _ -> {});
        }
      }
      case "rbd" ->
          serve(
              RbdVolumeStore.open(
                  new RbdConfig(
                      Path.of(arguments[1]),
                      "m2",
                      "m2",
                      Duration.ofSeconds(10),
                      UUID.randomUUID())),
              UUID.fromString(arguments[2]),
              _ -> {});
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  /** Clones of an image, one at a time. */
  private static final class Clones {
    private final VolumeStore store;
    private final UUID image;
    private @Nullable Volume volume;
    private UUID id = new UUID(0, 0);

    Clones(VolumeStore store, UUID image) {
      this.store = store;
      this.image = image;
    }

    void next(IscsiServer server) throws IOException {
      Volume before = volume;
      if (before != null) {
        withdraw(server, IQN + "-" + id);
        before.close();
        store.delete(id);
      }
      id = UUID.randomUUID();
      long sizeBytes = store.find(image).orElseThrow().sizeBytes();
      store.clone(id, image, sizeBytes);
      Volume clone = store.open(id);
      volume = clone;
      String target = IQN + "-" + id;
      LogicalUnit unit = new VolumeLogicalUnit(clone);
      server.define(new TargetDefinition(target, Map.of(0, unit), Access.open()));
      System.out.println(target);
      System.out.flush();
    }

    private static void withdraw(IscsiServer server, String target) throws IOException {
      try {
        server.withdraw(target, WITHDRAW_LIMIT);
      } catch (TimeoutException | InterruptedException e) {
        throw new IOException("a session of " + target + " does not end", e);
      }
    }
  }

  private static void serve(VolumeStore store, UUID id, Lines lines) throws IOException {
    try (store;
        Volume volume = store.open(id)) {
      serve(new VolumeLogicalUnit(volume), lines);
    }
  }

  private static void serve(LogicalUnit unit, Lines lines) throws IOException {
    Portal portal = new Portal(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1);
    try (IscsiServer server =
        new IscsiServer(
            IscsiServerConfig.of(List.of(portal)).withMaxSessionsPerTarget(MAX_SESSIONS),
            ReservationStore.none(),
            new TargetListener() {})) {
      server.define(new TargetDefinition(IQN, Map.of(0, unit), Access.open()));
      System.out.println(server.open().getFirst().address().getPort());
      System.out.flush();
      for (int read = System.in.read(); read >= 0; read = System.in.read()) {
        lines.next(server);
      }
    }
  }
}
