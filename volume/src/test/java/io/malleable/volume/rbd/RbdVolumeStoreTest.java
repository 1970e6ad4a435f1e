package io.malleable.volume.rbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/**
 * What is particular to RBD, against a real cluster; the contract that all stores share is tested
 * elsewhere.
 */
final class RbdVolumeStoreTest extends OnCephCluster {
  private static final long MIB = 1 << 20;

  private final UUID instance = UUID.randomUUID();

  @Test
  void snapshotClonePromoteRollbackAndDeleteKeepEveryContentApart() throws IOException {
    try (RbdVolumeStore store = RbdVolumeStore.open(cluster.config(instance))) {
      UUID image = UUID.randomUUID();
      store.create(image, 8 * MIB);
      write(store, image, 0, (byte) 1);
      store.seal(image);
      UUID disk = UUID.randomUUID();
      store.clone(disk, image, 16 * MIB);
      UUID snapshot = UUID.randomUUID();
      try (Volume volume = store.open(disk)) {
        volume.write(4096, filled((byte) 2));
        store.snapshot(snapshot, disk);
        volume.write(0, filled((byte) 3));
        assertEquals(3, byteAt(volume, 0));
      }
      assertEquals(1, byteAt(store, snapshot, 0));
      assertEquals(2, byteAt(store, snapshot, 4096));
      assertEquals(Optional.of(image), store.find(snapshot).orElseThrow().parent());
      UUID promoted = UUID.randomUUID();
      store.clone(promoted, snapshot, 16 * MIB);
      store.seal(promoted);

      store.rollback(disk, snapshot);
      assertEquals(1, byteAt(store, disk, 0));
      assertEquals(2, byteAt(store, disk, 4096));

      assertEquals(
          Reason.HAS_DEPENDANTS,
          assertThrows(VolumeException.class, () -> store.delete(snapshot)).reason());
      store.delete(promoted);
      store.delete(snapshot);
      assertEquals(1, byteAt(store, disk, 0));
      assertEquals(
          Reason.HAS_DEPENDANTS,
          assertThrows(VolumeException.class, () -> store.delete(image)).reason());
      store.delete(disk);
      store.delete(image);
      assertTrue(store.list().isEmpty(), () -> "left: " + listed(store));
    }
  }

  @Test
  void aLockOfOurOwnDeadProcessIsBrokenAndAnotherServersIsNot() throws Exception {
    UUID disk = UUID.randomUUID();
    try (RbdVolumeStore store = RbdVolumeStore.open(cluster.config(instance))) {
      store.create(disk, MIB);
    }
    Process holder = holdOpen(disk);
    try (RbdVolumeStore other = RbdVolumeStore.open(cluster.config(UUID.randomUUID()))) {
      assertEquals(
          Reason.IN_USE, assertThrows(VolumeException.class, () -> other.open(disk)).reason());
    }
    holder.destroyForcibly().waitFor();
    try (RbdVolumeStore store = RbdVolumeStore.open(cluster.config(instance))) {
      assertEquals(7, byteAt(store, disk, 0));
      store.delete(disk);
    }
  }

  /** Another process of the same server that has written, flushed and holds the disk open. */
  private Process holdOpen(UUID disk) throws IOException {
    Process process =
        new ProcessBuilder(
                ProcessHandle.current().info().command().orElseThrow(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                HoldOpen.class.getName(),
                cluster.conf().toString(),
                instance.toString(),
                disk.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertEquals("open", process.inputReader().readLine());
    return process;
  }

  /** Entry point of the process that dies with the lock. */
  static final class HoldOpen {
    private HoldOpen() {}

    public static void main(String[] arguments) throws IOException {
      RbdVolumeStore store =
          RbdVolumeStore.open(
              new RbdConfig(
                  Path.of(arguments[0]),
                  "m2",
                  "m2",
                  Duration.ofSeconds(10),
                  UUID.fromString(arguments[1])));
      Volume volume = store.open(UUID.fromString(arguments[2]));
      volume.write(0, filled((byte) 7));
      volume.flush();
      System.out.println("open");
      System.out.flush();
      // Blocks until the parent ends it, or is gone itself.
      int end = System.in.read();
      System.exit(end);
    }
  }

  @Test
  void aSilentOsdBecomesAnErrorWithinTheTimeoutAndIoGoesOnWhenItIsBack() throws Exception {
    RbdConfig impatient =
        new RbdConfig(cluster.conf(), "m2", "m2", Duration.ofSeconds(2), UUID.randomUUID());
    UUID disk = UUID.randomUUID();
    try (RbdVolumeStore store = RbdVolumeStore.open(impatient)) {
      store.create(disk, MIB);
      try (Volume volume = store.open(disk)) {
        volume.write(0, filled((byte) 4));
        cluster.signal("osd", "STOP");
        try {
          IOException error =
              assertThrows(IOException.class, () -> volume.write(4096, filled((byte) 5)));
          assertTrue(error.toString().contains("ETIMEDOUT"), error.toString());
        } finally {
          cluster.signal("osd", "CONT");
        }
        volume.write(4096, filled((byte) 6));
        volume.flush();
        assertEquals(4, byteAt(volume, 0));
        assertEquals(6, byteAt(volume, 4096));
      }
      store.delete(disk);
    }
  }

  @Test
  void aDeadMonitorIsAnErrorWithinTheTimeoutThatNamesTheRemedy() throws Exception {
    Path conf = cluster.conf().resolveSibling("nobody.conf");
    try (ServerSocket closed = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String address = "mon_host = v2:127.0.0.1:" + closed.getLocalPort() + "/0";
      Files.writeString(
          conf, Files.readString(cluster.conf()).replaceFirst("mon_host = .*", address));
    }
    assertUnavailable(
        "no monitor", new RbdConfig(conf, "m2", "m2", Duration.ofSeconds(2), instance));
    cluster.signal("mon", "STOP");
    try {
      assertUnavailable(
          "no monitor", new RbdConfig(cluster.conf(), "m2", "m2", Duration.ofSeconds(2), instance));
    } finally {
      cluster.signal("mon", "CONT");
    }
  }

  @Test
  void aSilentMonitorDoesNotStopReadsAndWrites() throws Exception {
    UUID disk = UUID.randomUUID();
    try (RbdVolumeStore store = RbdVolumeStore.open(cluster.config(instance))) {
      store.create(disk, MIB);
      try (Volume volume = store.open(disk)) {
        volume.write(0, filled((byte) 1));
        cluster.signal("mon", "STOP");
        try {
          volume.write(4096, filled((byte) 2));
          volume.flush();
          assertEquals(1, byteAt(volume, 0));
          assertEquals(2, byteAt(volume, 4096));
        } finally {
          cluster.signal("mon", "CONT");
        }
      }
      store.delete(disk);
    }
  }

  @Test
  void aFullPoolRefusesWritesWithinTheTimeoutAndTakesThemWhenThereIsRoomAgain() throws Exception {
    RbdConfig config = cluster.emptyPool();
    RbdConfig impatient =
        new RbdConfig(
            config.conf(), config.user(), config.pool(), Duration.ofSeconds(2), config.instance());
    UUID disk = UUID.randomUUID();
    try (RbdVolumeStore store = RbdVolumeStore.open(impatient)) {
      store.create(disk, 64 * MIB);
      try (Volume volume = store.open(disk)) {
        volume.write(0, filled((byte) 1));
        cluster.ceph("osd", "pool", "set-quota", config.pool(), "max_bytes", "1");
        IOException error = null;
        // The monitor notices a full pool when the manager's next report arrives.
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        for (long offset = 4 * MIB; error == null && System.nanoTime() < deadline; ) {
          try {
            volume.write(offset, filled((byte) 2));
            offset = offset == 32 * MIB ? 4 * MIB : offset + 4 * MIB;
          } catch (IOException e) {
            error = e;
          }
        }
        assertTrue(
            error != null && error.toString().matches(".*(full|quota).*"), String.valueOf(error));
        assertEquals(1, byteAt(volume, 0));
        cluster.ceph("osd", "pool", "set-quota", config.pool(), "max_bytes", "0");
        writeUntilTaken(volume);
        volume.flush();
        assertEquals(3, byteAt(volume, 0));
      }
    }
  }

  private static void writeUntilTaken(Volume volume) throws IOException {
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (true) {
      try {
        volume.write(0, filled((byte) 3));
        return;
      } catch (IOException e) {
        if (System.nanoTime() > deadline) {
          throw e;
        }
      }
    }
  }

  @Test
  void aWrongPoolUserOrFileIsNamedInTheError() {
    assertUnavailable(
        "store.rbd.pool",
        new RbdConfig(cluster.conf(), "m2", "absent", Duration.ofSeconds(10), instance));
    assertUnavailable(
        "store.rbd.user",
        new RbdConfig(cluster.conf(), "nobody", "m2", Duration.ofSeconds(10), instance));
    assertUnavailable(
        "store.rbd.conf",
        new RbdConfig(
            Path.of("/nonexistent/ceph.conf"), "m2", "m2", Duration.ofSeconds(10), instance));
  }

  @Test
  void aUserWithoutTheCapabilityIsToldWhichOneIsMissing() throws Exception {
    cluster.addUser("poor", "mon", "allow r");
    assertUnavailable(
        "profile rbd",
        new RbdConfig(cluster.conf(), "poor", "m2", Duration.ofSeconds(10), instance));
  }

  private static void assertUnavailable(String expected, RbdConfig config) {
    VolumeException error = assertThrows(VolumeException.class, () -> RbdVolumeStore.open(config));
    assertEquals(Reason.UNAVAILABLE, error.reason());
    assertTrue(error.toString().contains(expected), error.toString());
  }

  private static String listed(RbdVolumeStore store) {
    try {
      return store.list().toString();
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static void write(RbdVolumeStore store, UUID id, long offsetBytes, byte value)
      throws IOException {
    try (Volume volume = store.open(id)) {
      volume.write(offsetBytes, filled(value));
    }
  }

  private static ByteBuffer filled(byte value) {
    byte[] bytes = new byte[4096];
    java.util.Arrays.fill(bytes, value);
    return ByteBuffer.wrap(bytes);
  }

  private static int byteAt(RbdVolumeStore store, UUID id, long offsetBytes) throws IOException {
    try (Volume volume = store.open(id)) {
      return byteAt(volume, offsetBytes);
    }
  }

  private static int byteAt(Volume volume, long offsetBytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(512);
    volume.read(offsetBytes, buffer);
    return buffer.get(17);
  }
}
