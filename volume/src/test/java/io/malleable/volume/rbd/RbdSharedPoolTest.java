package io.malleable.volume.rbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Capacity;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What a crash leaves in a pool, and what others keep there: each test looks at the pool with
 * Ceph's own {@code rbd}, or leaves in it by that what a killed server would.
 */
final class RbdSharedPoolTest extends OnCephCluster {
  private static final long MIB = 1 << 20;

  private RbdConfig config;

  @BeforeEach
  void emptyPool() throws IOException, InterruptedException {
    config = cluster.emptyPool();
  }

  private String spec(Object image) {
    return config.pool() + "/" + image;
  }

  private List<String> lines(String... rbd) throws IOException, InterruptedException {
    return cluster.rbd(rbd).lines().map(String::strip).filter(l -> !l.isEmpty()).toList();
  }

  private void until(String what, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < deadline, what + " did not happen");
      Thread.onSpinWait();
    }
  }

  /** A disk of 1 MiB with {@code first} in it, a snapshot, and then {@code second}. */
  private record Rolled(UUID disk, UUID snapshot) {}

  private Rolled rolled(RbdVolumeStore store) throws IOException {
    Rolled rolled = new Rolled(UUID.randomUUID(), UUID.randomUUID());
    store.create(rolled.disk(), MIB);
    write(store, rolled.disk(), 1);
    store.snapshot(rolled.snapshot(), rolled.disk());
    write(store, rolled.disk(), 2);
    return rolled;
  }

  @Test
  void imagesOfOthersThatOnlyLookLikeARollbackStayWhereTheyAre() throws Exception {
    String uuid = UUID.randomUUID().toString();
    cluster.rbd("create", "--size", "1M", spec("backup"));
    cluster.rbd("create", "--size", "1M", spec("backup.rollback"));
    cluster.rbd("create", "--size", "1M", spec("lonely.rollback"));
    cluster.rbd("create", "--size", "1M", spec(uuid + ".rollback"));
    List<String> before = lines("ls", config.pool());
    RbdVolumeStore.open(config).close();
    assertEquals(before, lines("ls", config.pool()));
    assertEquals(List.of(), lines("trash", "ls", config.pool()));
  }

  @Test
  void aServerThatStartsLeavesTheRollbackOfAnotherAlone() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      Rolled rolled = rolled(store);
      String prepared = rolled.disk() + ".rollback";
      cluster.rbd("image-meta", "set", spec(rolled.disk()), "m2.rollback", config.instance() + "");
      prepare(rolled, prepared, config.instance());
      RbdConfig other =
          new RbdConfig(
              config.conf(), config.user(), config.pool(), config.timeout(), UUID.randomUUID());
      RbdVolumeStore.open(other).close();
      assertTrue(lines("ls", config.pool()).contains(prepared));
      cluster.rbd("trash", "mv", spec(rolled.disk()));
      RbdVolumeStore.open(other).close();
      assertTrue(lines("ls", config.pool()).contains(prepared));
    }
  }

  private void prepare(Rolled rolled, String prepared, UUID instance) throws Exception {
    String from = spec(rolled.snapshot()) + "@sealed";
    cluster.rbd("clone", "--rbd-default-clone-format", "2", from, spec(prepared));
    cluster.rbd("image-meta", "set", spec(prepared), "m2.owner", instance.toString());
    cluster.rbd("image-meta", "set", spec(prepared), "m2.volume", "1 - -");
  }

  @Test
  void aRollbackOfThisServerIsDroppedOrFinishedAtItsNextStart() throws Exception {
    Rolled kept;
    Rolled lost;
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      kept = rolled(store);
      lost = rolled(store);
    }
    // One died right after its clone was made, which has no record yet; the other between the swap.
    cluster.rbd("image-meta", "set", spec(kept.disk()), "m2.rollback", config.instance() + "");
    String from = spec(kept.snapshot()) + "@sealed";
    cluster.rbd("clone", "--rbd-default-clone-format", "2", from, spec(kept.disk() + ".rollback"));
    prepare(lost, lost.disk() + ".rollback", config.instance());
    cluster.rbd("trash", "mv", spec(lost.disk()));
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      assertEquals(2, read(store, kept.disk()));
      assertEquals(1, read(store, lost.disk()));
      assertFalse(String.join(" ", lines("ls", config.pool())).contains("rollback"));
      // Nothing that was left over pins what it read from.
      for (Rolled rolled : List.of(kept, lost)) {
        store.delete(rolled.disk());
        store.delete(rolled.snapshot());
      }
      until("the purge of everything", () -> lines("trash", "ls", config.pool()).isEmpty());
    }
  }

  @Test
  void aSnapshotThatACrashCutOffLeavesNothingInTheDisk() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      UUID disk = UUID.randomUUID();
      store.create(disk, MIB);
      write(store, disk, 1);
      UUID done = UUID.randomUUID();
      store.snapshot(done, disk);
      cluster.rbd("snap", "create", "--no-progress", spec(disk) + "@" + done);
      store.snapshot(done, disk); // the operation is repeated after a restart
      assertEquals(List.of(), lines("snap", "ls", spec(disk)));

      UUID begun = UUID.randomUUID();
      cluster.rbd("snap", "create", "--no-progress", spec(disk) + "@" + begun);
      write(store, disk, 2);
      store.snapshot(begun, disk);
      assertEquals(2, read(store, begun)); // not the moment of the call that was cut off
      assertEquals(List.of(), lines("snap", "ls", spec(disk)));

      cluster.rbd("snap", "create", "--no-progress", spec(disk) + "@" + UUID.randomUUID());
      cluster.rbd("snap", "create", "--no-progress", spec(disk) + "@of-the-operator");
      store.open(disk).close();
      List<String> left = lines("snap", "ls", spec(disk));
      assertTrue(left.size() == 2 && left.get(1).contains("of-the-operator"), left.toString());
    }
  }

  @Test
  void aTrashedImageGoesWhenItsLastCloneDoesAndOthersTrashStays() throws Exception {
    cluster.rbd("create", "--size", "1M", spec("of-others"));
    cluster.rbd("trash", "mv", spec("of-others"));
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      UUID disk = UUID.randomUUID();
      UUID snapshot = UUID.randomUUID();
      store.create(disk, MIB);
      write(store, disk, 1);
      store.snapshot(snapshot, disk);
      store.delete(disk);
      assertEquals(1, read(store, snapshot));
      store.delete(snapshot);
      until("the purge", () -> lines("trash", "ls", config.pool()).size() == 1);
      assertTrue(lines("trash", "ls", config.pool()).getFirst().contains("of-others"));
    }
  }

  @Test
  void aDamagedRecordIsNamedAndHindersNothingElse() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      UUID good = UUID.randomUUID();
      UUID image = UUID.randomUUID();
      store.create(good, MIB);
      store.create(image, MIB);
      store.seal(image);
      UUID bad = UUID.randomUUID();
      store.create(bad, MIB);
      for (String record : List.of("0 - -", "1 -", "1 x -", "words")) {
        cluster.rbd("image-meta", "set", spec(bad), "m2.volume", record);
        VolumeException error = assertThrows(VolumeException.class, () -> store.open(bad));
        assertEquals(Reason.CORRUPT, error.reason(), error.toString());
        assertTrue(error.toString().contains(bad.toString()), error.toString());
      }
      assertEquals(2, store.list().size());
      store.delete(image);
      cluster.rbd("image-meta", "set", spec(bad), "m2.volume", "2 - - -");
      VolumeException error = assertThrows(VolumeException.class, () -> store.find(bad));
      assertEquals(Reason.FORMAT_TOO_NEW, error.reason());
      assertThrows(VolumeException.class, () -> store.delete(bad));
      cluster.rbd("image-meta", "set", spec(bad), "m2.volume", "1 x -");
      store.delete(bad);
      assertEquals(List.of(good.toString()), lines("ls", config.pool()));
    }
  }

  @Test
  void aRecordThatIsTooLongIsNamedAndHindersNothingElse() throws Exception {
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      Set<UUID> all = new HashSet<>();
      for (int i = 0; i < 5; i++) {
        UUID volume = UUID.randomUUID();
        store.create(volume, MIB);
        all.add(volume);
      }
      UUID bad = all.iterator().next();
      Set<UUID> good = new HashSet<>(all);
      good.remove(bad);
      for (int bytes : List.of(1023, 1024, 1025, 2_000, 100_000)) {
        cluster.rbd("image-meta", "set", spec(bad), "m2.volume", "x".repeat(bytes));
        assertEquals(good, store.usable(all), bytes + " bytes");
        assertEquals(good, Set.copyOf(store.list().stream().map(VolumeInfo::id).toList()));
        VolumeException error = assertThrows(VolumeException.class, () -> store.find(bad));
        assertEquals(Reason.CORRUPT, error.reason(), error.toString());
        assertTrue(error.toString().contains(bad.toString()), error.toString());
      }
      UUID image = good.iterator().next();
      store.seal(image);
      store.delete(image);
      store.delete(bad);
      until("the purge", () -> lines("trash", "ls", config.pool()).isEmpty());
    }
  }

  @Test
  void aPoolThatItsQuotaWillFillSaysSoBeforeItRefuses() throws Exception {
    long quota = 64 * MIB;
    cluster.ceph("osd", "pool", "set-quota", config.pool(), "max_bytes", Long.toString(quota));
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      UUID disk = UUID.randomUUID();
      store.create(disk, 128 * MIB);
      until("the report", () -> store.capacity().totalBytes() == quota);
      assertTrue(store.capacity().availableBytes() > quota * 9 / 10);
      try (Volume volume = store.open(disk)) {
        for (long offset = 0; offset < 62 * MIB; offset += MIB) {
          volume.write(offset, ByteBuffer.allocate((int) MIB).put(0, (byte) 1));
        }
        until("the warning", () -> store.capacity().availableBytes() < quota / 20);
        Capacity nearlyFull = store.capacity();
        assertEquals(quota, nearlyFull.totalBytes());
        assertTrue(nearlyFull.availableBytes() > 0, nearlyFull.toString());
        assertTrue(nearlyFull.allocatedBytes() >= 62 * MIB, nearlyFull.toString());
        volume.write(0, ByteBuffer.allocate(512));
      }
    }
  }

  @Test
  void aLockIsKnownAsOursFromTheMomentItIsTaken() throws Exception {
    UUID disk = UUID.randomUUID();
    RbdVolumeStore dead = RbdVolumeStore.open(config); // the same server, in a process that hangs
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      store.create(disk, MIB);
      Volume held = dead.open(disk);
      write(store, disk, 3);
      assertEquals(3, read(store, disk));
      assertThrows(IOException.class, () -> held.write(0, ByteBuffer.allocate(512)));
      assertEquals(3, read(store, disk));
    } finally {
      IOException error = assertThrows(IOException.class, dead::close);
      assertTrue(error.getSuppressed()[0].toString().contains("blocklisted"), error.toString());
      dead.close();
    }
    assertThrows(VolumeException.class, dead::list);
    assertThrows(VolumeException.class, dead::capacity);
  }

  @Test
  void whatADeadProcessAcknowledgedIsThereAndItCannotWriteOnWhateverTheConfigurationSays()
      throws Exception {
    Path conf = Files.createTempFile("m2-ceph", ".conf");
    Files.writeString(
        conf,
        Files.readString(config.conf())
            + "\n[client]\nrbd_cache = true\nrbd_cache_policy = writeback\n"
            + "rbd_cache_writethrough_until_flush = false\nrbd_blocklist_on_break_lock = false\n");
    RbdConfig careless =
        new RbdConfig(conf, config.user(), config.pool(), config.timeout(), config.instance());
    UUID disk = UUID.randomUUID();
    RbdVolumeStore dead = RbdVolumeStore.open(careless); // in a process that hangs
    try (RbdVolumeStore store = RbdVolumeStore.open(careless)) {
      store.create(disk, MIB);
      Volume held = dead.open(disk);
      held.write(0, ByteBuffer.allocate(512).put(0, (byte) 7));
      assertEquals(7, read(store, disk), "acknowledged and not flushed");
      assertThrows(IOException.class, () -> held.write(0, ByteBuffer.allocate(512)));
      assertEquals(7, read(store, disk));
    } finally {
      assertThrows(IOException.class, dead::close);
      dead.close();
      Files.delete(conf);
    }
  }

  @Test
  void aForeignHolderIsNamedTogetherWithTheCommandThatRemovesItsLock() throws Exception {
    UUID disk = UUID.randomUUID();
    RbdConfig other =
        new RbdConfig(
            config.conf(), config.user(), config.pool(), config.timeout(), UUID.randomUUID());
    try (RbdVolumeStore holder = RbdVolumeStore.open(other);
        RbdVolumeStore store = RbdVolumeStore.open(config)) {
      store.create(disk, MIB);
      try (Volume _ = holder.open(disk)) {
        VolumeException error = assertThrows(VolumeException.class, () -> store.open(disk));
        assertEquals(Reason.IN_USE, error.reason());
        assertTrue(error.toString().contains(other.instance().toString()), error.toString());
        assertTrue(error.toString().contains("rbd lock rm " + spec(disk)), error.toString());
      }
      write(store, disk, 4);
    }
  }

  private static void write(RbdVolumeStore store, UUID id, int value) throws IOException {
    try (Volume volume = store.open(id)) {
      volume.write(0, ByteBuffer.allocate(512).put(0, (byte) value));
      volume.flush();
    }
  }

  private static int read(RbdVolumeStore store, UUID id) throws IOException {
    try (Volume volume = store.open(id)) {
      ByteBuffer buffer = ByteBuffer.allocate(512);
      volume.read(0, buffer);
      return buffer.get(0);
    }
  }
}
