package io.malleable.volume.rbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Calls on volumes while a part of the cluster is silent, or refuses what the user may not do. */
final class RbdSilentClusterTest extends OnCephCluster {
  private static final long MIB = 1 << 20;

  private static RbdConfig config(String user) {
    return new RbdConfig(cluster.conf(), user, "m2", Duration.ofSeconds(2), UUID.randomUUID());
  }

  private record Ended(String error, Duration took) {
    boolean namesTheCause() {
      return error.contains("ETIMEDOUT")
          || error.contains("ceph -s")
          || error.contains("is under way");
    }
  }

  /** All at once, as one does not keep the others; each on its own volume. */
  private static Map<String, Ended> failures(Map<String, Executable> calls) throws Exception {
    Map<String, Future<Ended>> running = new LinkedHashMap<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      calls.forEach((name, call) ->
          running.put(
              name,
              threads.submit(() -> {
                long start = System.nanoTime();
                String error = "none";
                try {
                  call.execute();
                } catch (IOException e) {
                  error = e.toString();
                } catch (Throwable e) {
                  throw new AssertionError(name, e);
                }
                return new Ended(error, Duration.ofNanos(System.nanoTime() - start));
              })));
    }
    Map<String, Ended> ended = new LinkedHashMap<>();
    for (Map.Entry<String, Future<Ended>> entry : running.entrySet()) {
      ended.put(entry.getKey(), entry.getValue().get());
    }
    return ended;
  }

  /** Volumes that are there before the cluster falls silent. */
  private record Prepared(UUID image, UUID disk, UUID snapshot, Volume open, Volume busy) {
    static Prepared in(RbdVolumeStore store) throws IOException {
      UUID image = UUID.randomUUID();
      store.create(image, MIB);
      store.seal(image);
      UUID disk = UUID.randomUUID();
      store.clone(disk, image, MIB);
      UUID snapshot = UUID.randomUUID();
      store.snapshot(snapshot, disk);
      List<Volume> open = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        UUID id = UUID.randomUUID();
        store.create(id, MIB);
        open.add(store.open(id));
        open.getLast().write(0, ByteBuffer.allocate(512));
      }
      return new Prepared(image, disk, snapshot, open.get(0), open.get(1));
    }

    /** What waits for an OSD, of every kind. */
    Map<String, Executable> calls(RbdVolumeStore store) throws IOException {
      Map<String, Executable> calls = new LinkedHashMap<>();
      calls.put("create", () -> store.create(UUID.randomUUID(), MIB));
      calls.put("clone", () -> store.clone(UUID.randomUUID(), image, MIB));
      calls.put("snapshot", () -> store.snapshot(UUID.randomUUID(), busy.id()));
      calls.put("rollback", () -> store.rollback(disk, snapshot));
      calls.put("close", open::close);
      calls.put("open", () -> store.open(image));
      calls.put("delete", () -> store.delete(snapshot));
      calls.put("resize", () -> store.resize(UUID.randomUUID(), 2 * MIB));
      calls.put("find", () -> store.find(UUID.randomUUID()));
      calls.put("list", store::list);
      return calls;
    }
  }

  @Test
  void everyCallEndsWithinItsLimitWhileAnOsdIsSilentAndDoesItsWorkLater() throws Exception {
    RbdConfig config = config("m2");
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      Prepared prepared = Prepared.in(store);
      Map<String, Ended> ended;
      cluster.signal("osd", "STOP");
      try {
        ended = failures(prepared.calls(store));
      } finally {
        cluster.signal("osd", "CONT");
      }
      // The lock of a volume is waited for before, and this machine may be slow.
      Duration limit = config.callLimit().plus(config.timeout()).plusSeconds(20);
      ended.forEach((name, end) -> {
        assertTrue(end.took().compareTo(limit) < 0, name + " took " + end.took());
        // What was written is durable already, so closing may well succeed.
        assertTrue(end.namesTheCause() || name.equals("close"), name + ": " + end.error());
      });
      store.create(UUID.randomUUID(), MIB);
      store.snapshot(UUID.randomUUID(), prepared.busy().id());
      store.rollback(prepared.disk(), prepared.snapshot());
      store.open(prepared.image()).close();
      store.delete(prepared.disk());
      store.delete(prepared.snapshot());
    }
  }

  @Test
  void everyCallEndsWhileTheMonitorIsSilent() throws Exception {
    RbdConfig config = config("m2");
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      Prepared prepared = Prepared.in(store);
      cluster.signal("mon", "STOP");
      try {
        // A snapshot takes its number from a monitor, and so does the report of the space.
        Map<String, Ended> ended =
            failures(
                Map.of(
                    "snapshot",
                    () -> store.snapshot(UUID.randomUUID(), prepared.busy().id()),
                    "capacity",
                    store::capacity));
        ended.forEach((name, end) -> assertTrue(end.namesTheCause(), name + ": " + end.error()));
        // The rest does not need one.
        UUID disk = UUID.randomUUID();
        store.create(disk, MIB);
        try (Volume volume = store.open(disk)) {
          volume.write(0, ByteBuffer.allocate(512));
        }
        prepared.open().close();
        store.delete(disk);
      } finally {
        cluster.signal("mon", "CONT");
      }
      store.snapshot(UUID.randomUUID(), prepared.busy().id());
      store.capacity();
    }
  }

  @Test
  void aStoreIsClosedWithinTheLimitWhileAnOsdIsSilent() throws Exception {
    RbdConfig config = config("m2");
    RbdVolumeStore store = RbdVolumeStore.open(config);
    Prepared prepared = Prepared.in(store);
    cluster.signal("osd", "STOP");
    try {
      Future<Ended> closed;
      try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
        Future<Ended> write =
            threads.submit(() ->
                failures(Map.of("write", () -> prepared.open().write(0, ByteBuffer.allocate(512))))
                    .get("write"));
        closed = threads.submit(() -> failures(Map.of("store", store::close)).get("store"));
        assertTrue(!write.get().error().equals("none"), () -> "a silent OSD answered");
      }
      Duration took = closed.get().took();
      assertTrue(
          took.compareTo(config.callLimit().multipliedBy(3).plusSeconds(20)) < 0,
          () -> "took " + took);
    } finally {
      cluster.signal("osd", "CONT");
    }
    IOException late =
        assertThrows(IOException.class, () -> prepared.open().read(0, ByteBuffer.allocate(512)));
    assertTrue(late.toString().contains("closed"), late.toString());
    assertThrows(VolumeException.class, () -> store.find(prepared.disk()));
    assertThrows(VolumeException.class, store::capacity);
    store.close();
  }

  /** Holds the OSD until the store is being closed, so that the copy cannot end before that. */
  private static final class ClosedInTheMiddle implements TransferProgress {
    private final RbdVolumeStore store;
    private final FutureTask<Boolean> closing;
    private int looks;

    ClosedInTheMiddle(RbdVolumeStore store) {
      this.store = store;
      this.closing =
          new FutureTask<>(() -> {
            store.close();
            return true;
          });
    }

    @Override
    public void onProgress(long doneBytes, long totalBytes) {
      looks++;
      try {
        switch (looks) {
          case 1 -> cluster.signal("osd", "STOP");
          case 2 -> {
            Thread.startVirtualThread(closing);
            while (isOpen()) {
              Thread.onSpinWait();
            }
          }
          case 3 -> cluster.signal("osd", "CONT");
          default -> {}
        }
      } catch (IOException | InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    private boolean isOpen() {
      try {
        store.capacity();
        return true;
      } catch (IOException e) {
        return false;
      }
    }

    @Override
    public boolean cancelled() {
      return false;
    }
  }

  @Test
  void aFlattenEndsWhenTheStoreIsClosed() throws Exception {
    UUID disk = UUID.randomUUID();
    UUID image = UUID.randomUUID();
    long size = 2048 * MIB;
    RbdVolumeStore store =
        RbdVolumeStore.open(
            new RbdConfig(cluster.conf(), "m2", "m2", Duration.ofMinutes(1), UUID.randomUUID()));
    store.create(image, size);
    try (Volume volume = store.open(image)) {
      for (long offset = 0; offset < size; offset += 4 * MIB) {
        volume.write(offset, ByteBuffer.allocate(4096).put(0, (byte) 1));
      }
    }
    store.seal(image);
    store.clone(disk, image, size);
    ClosedInTheMiddle progress = new ClosedInTheMiddle(store);
    try {
      IOException error = assertThrows(IOException.class, () -> store.flatten(disk, progress));
      assertTrue(error.toString().contains("ECANCELED"), error.toString());
    } finally {
      cluster.signal("osd", "CONT");
    }
    assertTrue(progress.closing.get());
    try (RbdVolumeStore again = RbdVolumeStore.open(config("m2"))) {
      again.flatten(disk);
      assertTrue(again.find(disk).orElseThrow().parent().isEmpty());
    }
  }

  @Test
  void aUserWhoMayOnlyReadIsToldTheCapabilityThatIsMissing() throws Exception {
    UUID disk = UUID.randomUUID();
    UUID image = UUID.randomUUID();
    try (RbdVolumeStore store = RbdVolumeStore.open(config("m2"))) {
      store.create(disk, MIB);
      store.create(image, MIB);
      store.seal(image);
    }
    cluster.addUser("reader", "mon", "profile rbd", "osd", "profile rbd-read-only pool=m2");
    try (RbdVolumeStore store = RbdVolumeStore.open(config("reader"))) {
      store.open(image).close();
      for (Executable call :
          List.<Executable>of(
              () -> store.create(UUID.randomUUID(), MIB),
              () -> store.clone(UUID.randomUUID(), image, MIB),
              () -> store.snapshot(UUID.randomUUID(), disk),
              () -> store.open(disk),
              () -> store.delete(disk))) {
        assertCapability("client.reader", assertThrows(VolumeException.class, call));
      }
    }
  }

  @Test
  void aUserWhoMayNotBreakLocksIsToldTheCapabilityThatIsMissing() throws Exception {
    cluster.addUser("timid", "mon", "allow r", "osd", "profile rbd pool=m2");
    UUID disk = UUID.randomUUID();
    RbdConfig config = config("timid");
    try (RbdVolumeStore dead = RbdVolumeStore.open(config);
        RbdVolumeStore store = RbdVolumeStore.open(config)) {
      store.create(disk, MIB);
      try (Volume _ = dead.open(disk)) {
        VolumeException error = assertThrows(VolumeException.class, () -> store.open(disk));
        assertCapability("client.timid", error);
        assertTrue(error.toString().contains("blocklisted"), error.toString());
      }
    }
  }

  private static void assertCapability(String user, VolumeException error) {
    assertEquals(Reason.UNAVAILABLE, error.reason(), error.toString());
    assertTrue(
        error.toString().contains("ceph auth caps " + user + " mon 'profile rbd'"),
        error.toString());
  }
}
