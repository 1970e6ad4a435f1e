package io.malleable.volume.rbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** A flatten on a real cluster takes long, so it is watched and can be ended. */
final class RbdFlattenTest extends OnCephCluster {
  private static final long MIB = 1 << 20;
  private static final long OBJECT_BYTES = 4 * MIB;
  private static final int OBJECTS = 1024;

  private String pool = "";

  /** A store that copies one object after the other, so that there is a half-way. */
  private RbdVolumeStore slowStore() throws IOException, InterruptedException {
    RbdConfig config = cluster.emptyPool();
    pool = config.pool();
    Path conf = cluster.conf().resolveSibling(config.pool() + ".conf");
    Files.writeString(
        conf, Files.readString(cluster.conf()) + "[client]\nrbd_concurrent_management_ops = 1\n");
    return RbdVolumeStore.open(
        new RbdConfig(conf, config.user(), config.pool(), config.timeout(), config.instance()));
  }

  /** A sealed volume with a sector in each of its objects. */
  private static UUID image(RbdVolumeStore store, int objects) throws IOException {
    UUID image = UUID.randomUUID();
    store.create(image, objects * OBJECT_BYTES);
    try (Volume volume = store.open(image)) {
      for (int i = 0; i < objects; i++) {
        volume.write(i * OBJECT_BYTES, sector(i));
      }
    }
    store.seal(image);
    return image;
  }

  private static ByteBuffer sector(int value) {
    ByteBuffer sector = ByteBuffer.allocate(512);
    while (sector.hasRemaining()) {
      sector.putInt(value + 1);
    }
    return sector.flip();
  }

  private static void assertContent(RbdVolumeStore store, UUID disk) throws IOException {
    try (Volume volume = store.open(disk)) {
      ByteBuffer sector = ByteBuffer.allocate(512);
      for (int i = 0; i < OBJECTS; i++) {
        volume.read(i * OBJECT_BYTES, sector.clear());
        assertEquals(sector(i), sector.flip(), "object " + i);
      }
    }
  }

  /** Ends the work once so much is done. */
  private static final class EndAt implements TransferProgress {
    private final long bytes;
    private final Thread caller = Thread.currentThread();
    private long doneBytes;
    private long totalBytes;
    private int reports;

    EndAt(long bytes) {
      this.bytes = bytes;
    }

    @Override
    public void onProgress(long done, long total) {
      assertEquals(caller, Thread.currentThread(), "never on a thread of librbd");
      assertTrue(done >= doneBytes && done <= total, done + " of " + total);
      doneBytes = done;
      totalBytes = total;
      reports++;
    }

    @Override
    public boolean cancelled() {
      return doneBytes >= bytes;
    }
  }

  @Test
  void showsHowFarItIsAndGoesOnAfterItWasCancelled() throws Exception {
    try (RbdVolumeStore store = slowStore()) {
      UUID image = image(store, OBJECTS);
      UUID disk = UUID.randomUUID();
      store.clone(disk, image, OBJECTS * OBJECT_BYTES);
      EndAt begun = new EndAt(OBJECT_BYTES);
      VolumeException end = assertThrows(VolumeException.class, () -> store.flatten(disk, begun));
      assertEquals(Reason.CANCELLED, end.reason(), end.toString());
      assertEquals(OBJECTS * OBJECT_BYTES, begun.totalBytes);
      assertEquals(Optional.of(image), store.find(disk).orElseThrow().parent());
      assertContent(store, disk);

      EndAt never = new EndAt(Long.MAX_VALUE);
      store.flatten(disk, never);
      assertTrue(never.reports > 3, never.reports + " reports");
      assertTrue(never.totalBytes < begun.totalBytes, "what was copied before counts again");
      assertEquals(never.totalBytes, never.doneBytes);
      assertEquals(Optional.empty(), store.find(disk).orElseThrow().parent());
      store.delete(image);
      assertContent(store, disk);
      store.flatten(disk, never); // the operation is repeated after a restart
    }
  }

  @Test
  void endsWithTheErrorOfItsWatcherAndTheDiskStaysUsable() throws Exception {
    try (RbdVolumeStore store = slowStore()) {
      UUID image = image(store, OBJECTS);
      UUID disk = UUID.randomUUID();
      store.clone(disk, image, OBJECTS * OBJECT_BYTES);
      for (Throwable failure :
          List.of(new IllegalStateException("defect"), new AssertionError("of the machine"))) {
        try (Volume open = store.open(disk)) {
          assertSame(
              failure,
              assertThrows(Throwable.class, () -> store.flatten(disk, failingWith(failure))));
          open.write(512, sector(7));
          awaitCopies();
          assertTrue(cluster.rbd("info", pool + "/" + disk).contains("parent:"), "it went on");
        }
        assertContent(store, disk);
        assertEquals(Optional.of(image), store.find(disk).orElseThrow().parent());
      }
    }
  }

  private static TransferProgress failingWith(Throwable failure) {
    return new TransferProgress() {
      @Override
      public void onProgress(long doneBytes, long totalBytes) {
        switch (doneBytes > 0 ? failure : null) {
          case RuntimeException e -> throw e;
          case Error e -> throw e;
          case null, default -> {}
        }
      }

      @Override
      public boolean cancelled() {
        return false;
      }
    };
  }

  /** Whatever librbd still copies, also after nobody waited for it. */
  private static void awaitCopies() throws InterruptedException {
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().equals("rbd-flatten")) {
        assertTrue(thread.join(Duration.ofMinutes(1)), "it does not end");
      }
    }
  }

  @Test
  void isRefusedBeforeItCopiesWhatThePoolHasNoRoomFor() throws Exception {
    RbdConfig config = cluster.emptyPool();
    long quota = 64 * MIB;
    cluster.ceph("osd", "pool", "set-quota", config.pool(), "max_bytes", Long.toString(quota));
    try (RbdVolumeStore store = RbdVolumeStore.open(config)) {
      UUID image = UUID.randomUUID();
      store.create(image, 40 * MIB);
      try (Volume volume = store.open(image)) {
        for (long offset = 0; offset < 40 * MIB; offset += MIB) {
          volume.write(offset, ByteBuffer.allocate((int) MIB).put(0, (byte) 1));
        }
      }
      store.seal(image);
      UUID disk = UUID.randomUUID();
      store.clone(disk, image, 40 * MIB);
      long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (store.capacity().totalBytes() != quota
          || store.capacity().allocatedBytes() < 40 * MIB) {
        assertTrue(System.nanoTime() < deadline, "Ceph does not report what the pool holds");
      }
      VolumeException refusal = assertThrows(VolumeException.class, () -> store.flatten(disk));
      assertEquals(Reason.OUT_OF_SPACE, refusal.reason(), refusal.toString());
      assertTrue(refusal.toString().contains(Long.toString(40 * MIB)), refusal.toString());
      assertEquals(0, store.find(disk).orElseThrow().allocatedBytes());
      assertEquals(Optional.of(image), store.find(disk).orElseThrow().parent());
    }
  }
}
