package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.VolumeStoreContract;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import io.malleable.volume.posix.Posix;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LocalVolumeStoreTest extends VolumeStoreContract {
  @TempDir Path directory;

  @Override
  protected VolumeStore openStore() throws IOException {
    return LocalVolumeStore.open(directory);
  }

  @Test
  void aSecondProcessCannotOpenTheStore() {
    assertRefused(Reason.UNAVAILABLE, () -> LocalVolumeStore.open(directory));
  }

  private LocalVolumeStore local() {
    return (LocalVolumeStore) store();
  }

  private List<Path> files(String suffix) throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve("layers"))) {
      return files.filter(file -> file.toString().endsWith(suffix)).toList();
    }
  }

  @Test
  void manySnapshotsTakenAndDeletedLeaveAShortChainAndNoSpaceBehind() throws IOException {
    UUID image = newImage(8 * MIB, 4 * MIB);
    UUID disk = id();
    store().clone(disk, image, 8 * MIB);
    byte[] expected = new byte[8 * MIB];
    pattern(7, 4 * MIB).get(expected, 0, 4 * MIB);
    try (Volume volume = store().open(disk)) {
      for (int i = 0; i < 40; i++) {
        ByteBuffer bytes = pattern(i, MIB / 2 + 512);
        int offset = (i % 7) * MIB + 512;
        bytes.duplicate().get(expected, offset, bytes.remaining());
        volume.write(offset, bytes);
        UUID snapshot = id();
        store().snapshot(snapshot, disk);
        store().delete(snapshot);
      }
      local().maintain();
      assertArrayEquals(expected, read(volume, 0, 8 * MIB));
      assertEquals(2, files(".map").size(), "the image's layer and the disk's");
    }
    assertTrue(store().find(disk).orElseThrow().allocatedBytes() < 8 * MIB);
    reopenStore();
    assertArrayEquals(expected, read(disk, 0, 8 * MIB));
  }

  private long blocksOnDiskBytes() throws IOException {
    long sum = 0;
    for (Path file : files("")) {
      sum += Posix.allocatedBytes(file);
    }
    return sum;
  }

  @Test
  void discardRollbackAndDeleteGiveTheFileSystemItsBlocksBack() throws IOException {
    UUID disk = newDisk(64 * MIB);
    UUID snapshot = id();
    store().snapshot(snapshot, disk);
    long empty = blocksOnDiskBytes();
    try (Volume volume = store().open(disk)) {
      for (int i = 0; i < 16; i++) {
        volume.write((long) i * MIB, pattern(i, MIB));
      }
      volume.flush();
      assertTrue(blocksOnDiskBytes() >= empty + 16L * MIB);
      volume.discard(0, 8 * MIB);
      volume.flush();
      assertTrue(blocksOnDiskBytes() < empty + 9L * MIB, "half was discarded");
    }
    store().rollback(disk, snapshot);
    local().maintain();
    assertTrue(blocksOnDiskBytes() < empty + MIB, "what was rolled back is gone");
    write(disk, 0, pattern(1, 4 * MIB));
    store().delete(disk);
    assertTrue(blocksOnDiskBytes() < empty + MIB, "what was deleted is gone when the call returns");
  }

  /** Files whose deletion does not end until it may. */
  private static final class HeldDeletion {
    final CountDownLatch begun = new CountDownLatch(1);
    final CountDownLatch allowed = new CountDownLatch(1);

    StoreFiles files(StoreFiles real) {
      return (StoreFiles)
          Proxy.newProxyInstance(
              StoreFiles.class.getClassLoader(),
              new Class<?>[] {StoreFiles.class},
              (proxy, method, arguments) -> {
                if (method.getName().equals("delete")
                    && arguments[0] instanceof String name
                    && name.endsWith(StoreLayout.DATA)) {
                  begun.countDown();
                  allowed.await();
                }
                try {
                  return method.invoke(real, arguments);
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              });
    }
  }

  @Test
  void rollbackAndSnapshotsDoNotWaitForTheDeletionOfWhatIsGone() throws Exception {
    HeldDeletion held = new HeldDeletion();
    Path own = directory.resolve("own");
    Files.createDirectories(own);
    StoreFiles files = held.files(new LocalFiles(own));
    try (LocalVolumeStore slow = LocalVolumeStore.open(files, Settings.defaults());
        ExecutorService background = Executors.newSingleThreadExecutor()) {
      UUID disk = id();
      UUID snapshot = id();
      slow.create(disk, MIB);
      slow.snapshot(snapshot, disk);
      slow.rollback(disk, snapshot);
      Future<?> maintenance =
          background.submit(() -> {
            slow.maintain();
            return null;
          });
      try {
        held.begun.await();
        slow.snapshot(id(), disk);
        slow.rollback(disk, snapshot);
        slow.clone(id(), snapshot, MIB);
      } finally {
        held.allowed.countDown();
      }
      maintenance.get();
    }
    try (Stream<Path> layers = Files.list(own.resolve("layers"))) {
      assertEquals(
          4,
          layers.filter(file -> file.toString().endsWith(".data")).count(),
          "no garbage is left");
    }
  }

  @Test
  void aLargeLayerThatIsNotWorthCopyingLosesWhatIsHidden() throws IOException {
    UUID disk = newDisk(256 * MIB);
    ByteBuffer bytes = pattern(1, MIB);
    try (Volume volume = store().open(disk)) {
      for (int i = 0; i < 100; i++) {
        volume.write((long) i * MIB, bytes.duplicate());
      }
      UUID snapshot = id();
      store().snapshot(snapshot, disk);
      for (int i = 0; i < 30; i++) {
        volume.write((long) i * MIB, pattern(2, MIB));
      }
      store().delete(snapshot);
      local().maintain();
      assertArrayEquals(bytes(pattern(2, MIB)), read(volume, 29 * MIB, MIB));
      assertArrayEquals(bytes(bytes), read(volume, 30 * MIB, MIB));
    }
    long allocated = store().find(disk).orElseThrow().allocatedBytes();
    assertTrue(allocated < 104L * MIB, "100 MiB of content occupy " + allocated);
  }

  /** Files of which one sync of data is preceded by something else. */
  private static final class SyncHook {
    private @Nullable Callable<?> before;
    private int syncsUntilThen;

    private void run() throws Exception {
      if (before != null && syncsUntilThen-- > 0) {
        return;
      }
      Callable<?> once = before;
      before = null;
      if (once != null) {
        once.call();
      }
    }

    StoreFiles files(StoreFiles real) {
      return proxy(StoreFiles.class, real, false);
    }

    private <T> T proxy(Class<T> type, T real, boolean data) {
      return type.cast(
          Proxy.newProxyInstance(
              type.getClassLoader(),
              new Class<?>[] {type},
              (proxy, method, arguments) -> {
                if (data && method.getName().equals("sync")) {
                  run();
                }
                try {
                  Object result = method.invoke(real, arguments);
                  return result instanceof StoreFile file
                      ? proxy(StoreFile.class, file, arguments[0].toString().endsWith(".data"))
                      : result;
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              }));
    }
  }

  private static UUID diskOverALargeLayer(LocalVolumeStore store) throws IOException {
    UUID disk = id();
    UUID snapshot = id();
    store.create(disk, 128 * MIB);
    try (Volume volume = store.open(disk)) {
      for (int i = 0; i < 65; i++) {
        volume.write((long) i * MIB, pattern(1, MIB));
      }
      store.snapshot(snapshot, disk);
      volume.write(0, pattern(2, 4096));
    }
    store.delete(snapshot);
    return disk;
  }

  @Test
  void whatIsWrittenWhileHiddenBlocksAreFreedKeepsItsOldCopyUntilItIsDurable() throws IOException {
    Path own = Files.createDirectories(directory.resolve("own"));
    Path crashed = directory.resolve("crashed");
    SyncHook hook = new SyncHook();
    UUID disk;
    try (LocalVolumeStore store =
        LocalVolumeStore.open(hook.files(new LocalFiles(own)), Settings.defaults())) {
      disk = diskOverALargeLayer(store);
      try (Volume volume = store.open(disk)) {
        volume.write(4096, pattern(2, 4096));
        // The layer below is settled before its hidden blocks are looked for.
        hook.syncsUntilThen = 1;
        hook.before =
            () -> {
              volume.write(8192, pattern(2, 4096));
              return null;
            };
        store.maintain();
        assertNull(hook.before, "nothing was written meanwhile");
        copy(own, crashed);
        assertArrayEquals(bytes(pattern(2, 4096)), read(volume, 8192, 4096));
      }
    }
    try (LocalVolumeStore store =
            LocalVolumeStore.open(new LocalFiles(crashed), Settings.defaults());
        Volume volume = store.open(disk)) {
      byte[] old = bytes(pattern(1, MIB));
      assertArrayEquals(bytes(pattern(2, 4096)), read(volume, 4096, 4096));
      assertArrayEquals(Arrays.copyOfRange(old, 8192, 12288), read(volume, 8192, 4096));
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
    // With the host goes what was only handed to it.
    StoreFiles copied = new LocalFiles(to);
    for (String name : copied.list(StoreLayout.LAYERS)) {
      if (name.endsWith(StoreLayout.TAIL)) {
        UUID layer = UUID.fromString(name.substring(0, name.indexOf('.')));
        copied.delete(StoreLayout.tail(layer));
        MapTail.renew(copied, layer, StoreLayout.NOBODY);
      }
    }
  }

  @Test
  void maintenanceEndsThoughALargeLayerStaysBelowAClosedDisk() throws IOException {
    Path own = Files.createDirectories(directory.resolve("own"));
    try (LocalVolumeStore store = LocalVolumeStore.open(new LocalFiles(own), Settings.defaults())) {
      UUID disk = diskOverALargeLayer(store);
      int turns = 0;
      while (store.maintainIfDue()) {
        assertTrue(++turns < 5, "each turn asks for the next one");
      }
      store.open(disk).close();
      assertFalse(store.maintainIfDue(), "closing a disk leaves nothing to do");
    }
  }

  @Test
  void aDamagedImageIsNotServedAndTheScrubNamesIt() throws IOException {
    UUID image = newImage(8 * MIB, 4 * MIB);
    UUID disk = id();
    store().clone(disk, image, 8 * MIB);
    local().maintain();
    VerifyReport sound = local().verify(TransferProgress.NONE);
    assertEquals(List.of(), sound.damages());
    assertEquals(4 * MIB, sound.checkedBytes());
    store().close();
    Path data =
        files(".data").stream().filter(LocalVolumeStoreTest::isLarge).findFirst().orElseThrow();
    try (RandomAccessFile file = new RandomAccessFile(data.toFile(), "rw")) {
      file.seek(2 * MIB + 700);
      file.write(0x5a);
    }
    reopenStore();
    assertArrayEquals(
        Arrays.copyOf(bytes(pattern(7, 4 * MIB)), MIB), read(disk, 0, MIB), "the rest is served");
    try (Volume volume = store().open(disk)) {
      assertRefused(Reason.CORRUPT, () -> read(volume, 2 * MIB, 512));
      assertRefused(Reason.CORRUPT, () -> read(volume, 2 * MIB + 512, 512));
      assertRefused(Reason.CORRUPT, () -> read(volume, 2 * MIB - 4096, 8192));
    }
    VerifyReport report = local().verify(TransferProgress.NONE);
    assertEquals(1, report.damages().size());
    VerifyReport.Damage damage = report.damages().getFirst();
    assertTrue(damage.what().contains("byte " + 2 * MIB), damage.what());
    assertEquals(Set.of(image, disk), Set.copyOf(damage.volumes()));
  }

  private static boolean isLarge(Path file) {
    return file.toFile().length() >= 4 * MIB;
  }

  @Test
  void damagedOldAndNewFilesAreToldApartAndTheOtherVolumesStayUsable() throws IOException {
    UUID sound = newDisk(MIB);
    UUID broken = newDisk(MIB);
    Path record = directory.resolve("volumes").resolve(broken.toString());
    byte[] good = Files.readAllBytes(record);
    record Case(int position, int value, Reason reason) {}
    for (Case wrong :
        List.of(
            new Case(0, 'X', Reason.CORRUPT),
            new Case(11, 2, Reason.FORMAT_TOO_NEW),
            new Case(11, 0, Reason.FORMAT_TOO_OLD),
            new Case(20, 0x7f, Reason.CORRUPT))) {
      byte[] bytes = good.clone();
      bytes[wrong.position] = (byte) wrong.value;
      Files.write(record, bytes);
      reopenStore();
      assertRefused(wrong.reason, () -> store().open(broken));
      assertRefused(wrong.reason, () -> store().find(broken));
      read(sound, 0, 512);
    }
    Files.write(record, Arrays.copyOf(good, 30));
    reopenStore();
    assertRefused(Reason.CORRUPT, () -> store().open(broken));
    Files.write(record, good);
    reopenStore();
    read(broken, 0, 512);
  }

  @Test
  void aMapThatIsDamagedInTheMiddleOrCutOffAnywhereIsCorrupt() throws IOException {
    UUID disk = newDisk(MIB);
    try (Volume volume = store().open(disk)) {
      for (int i = 0; i < 5; i++) {
        volume.write(i * 8192L, pattern(i, 4096));
        volume.flush();
      }
    }
    store().close();
    Path map = files(".map").getFirst();
    byte[] good = Files.readAllBytes(map);
    for (int length = 0; length < good.length; length++) {
      Files.write(map, Arrays.copyOf(good, length));
      reopenStore();
      assertRefused(Reason.CORRUPT, () -> store().open(disk));
      store().close();
    }
    good[MapLog.HEADER_BYTES + 2 * (MapLog.BATCH_HEADER_BYTES + MapLog.RUN_BYTES) + 30] ^= 1;
    Files.write(map, good);
    reopenStore();
    assertRefused(Reason.CORRUPT, () -> store().open(disk));
  }

  @Test
  void anInterruptedThreadDoesNotTakeAnImageAwayFromOthers() throws Exception {
    UUID image = newImage(MIB, 64 << 10);
    try (Volume volume = store().open(image)) {
      Thread.currentThread().interrupt();
      assertArrayEquals(bytes(pattern(7, 4096)), read(volume, 0, 4096));
      assertTrue(Thread.interrupted(), "the flag is kept");
      assertArrayEquals(bytes(pattern(7, 4096)), read(volume, 0, 4096));
    }
  }

  @Test
  void aFlattenThatWouldTakeTheLastSpaceIsRefusedBeforeItCopies() throws IOException {
    FaultyFiles files = new FaultyFiles();
    try (LocalVolumeStore store = LocalVolumeStore.open(files, new Settings(10 * MIB))) {
      UUID image = id();
      UUID disk = id();
      store.create(image, 8 * MIB);
      write(store, image, 0, pattern(1, 4 * MIB));
      store.seal(image);
      store.clone(disk, image, 8 * MIB);
      // The reserve, as much again for machines, and half of what is to be copied.
      files.setAvailableBytes(22 * MIB);
      VolumeException refusal = assertThrows(VolumeException.class, () -> store.flatten(disk));
      assertEquals(Reason.OUT_OF_SPACE, refusal.reason());
      String message = String.valueOf(refusal.getMessage());
      assertTrue(
          message.contains("takes %d bytes, %d are left".formatted(4 * MIB, 2 * MIB)), message);
      assertTrue(store.find(disk).orElseThrow().allocatedBytes() < MIB, "something was copied");
      assertEquals(image, store.find(disk).orElseThrow().parent().orElseThrow());
      write(store, disk, 4 * MIB, pattern(2, 4096));
      files.setAvailableBytes(24 * MIB);
      store.flatten(disk);
    }
  }

  private static void write(VolumeStore store, UUID disk, long offset, ByteBuffer bytes)
      throws IOException {
    try (Volume volume = store.open(disk)) {
      volume.write(offset, bytes);
    }
  }

  /** Ends the work once so much is done. */
  private static final class EndAt implements TransferProgress {
    private final long bytes;
    private long doneBytes;
    private long totalBytes;

    EndAt(long bytes) {
      this.bytes = bytes;
    }

    @Override
    public void onProgress(long done, long total) {
      assertTrue(done >= doneBytes && done <= total, done + " of " + total);
      doneBytes = done;
      totalBytes = total;
    }

    @Override
    public boolean cancelled() {
      return doneBytes >= bytes;
    }
  }

  @Test
  void aCheckThatIsCancelledSaysSo() throws IOException {
    newImage(8 * MIB, 8 * MIB);
    EndAt atOnce = new EndAt(0);
    assertRefused(Reason.CANCELLED, () -> ((LocalVolumeStore) store()).verify(atOnce));
  }

  @Test
  void aFlattenThatIsCancelledLeavesTheDiskAsItWasAndGoesOnWhereItWas() throws IOException {
    UUID image = newImage(16 * MIB, 8 * MIB);
    UUID disk = id();
    store().clone(disk, image, 16 * MIB);
    EndAt half = new EndAt(4 * MIB);
    assertRefused(Reason.CANCELLED, () -> store().flatten(disk, half));
    assertEquals(8 * MIB, half.totalBytes);
    assertEquals(image, store().find(disk).orElseThrow().parent().orElseThrow());
    assertArrayEquals(bytes(pattern(7, 8 * MIB)), read(disk, 0, 8 * MIB));
    EndAt never = new EndAt(Long.MAX_VALUE);
    store().flatten(disk, never);
    assertEquals(4 * MIB, never.totalBytes, "what was copied before is not copied again");
    assertEquals(never.totalBytes, never.doneBytes);
    store().delete(image);
    assertArrayEquals(bytes(pattern(7, 8 * MIB)), read(disk, 0, 8 * MIB));
  }

  @Test
  void whatADiskDivergedByIsAlsoWhatItsSnapshotsKeep() throws IOException {
    UUID image = newImage(8 * MIB, 4 * MIB);
    UUID disk = id();
    store().clone(disk, image, 8 * MIB);
    write(disk, 0, pattern(1, MIB));
    store().snapshot(id(), disk);
    store().snapshot(id(), disk);
    VolumeInfo info = store().find(disk).orElseThrow();
    assertTrue(info.allocatedBytes() < MIB / 2, info::toString);
    assertTrue(info.divergedBytes() >= MIB && info.divergedBytes() < 2 * MIB, info::toString);
    VolumeInfo base = store().find(image).orElseThrow();
    assertEquals(base.allocatedBytes(), base.divergedBytes());
  }

  /** Merges, so that blocks are freed in layers that are scrubbed just then. */
  @Test
  void blocksThatAMergeFreesDuringAScrubAreNoDamage() throws IOException {
    Path own = Files.createDirectories(directory.resolve("own"));
    try (LocalVolumeStore store = LocalVolumeStore.open(new LocalFiles(own), Settings.defaults())) {
      UUID disk = id();
      UUID snapshot = id();
      store.create(disk, 128 * MIB);
      try (Volume volume = store.open(disk)) {
        for (int i = 0; i < 65; i++) {
          volume.write((long) i * MIB, pattern(1, MIB));
        }
        store.snapshot(snapshot, disk);
        store.maintain();
        volume.write(60 * MIB, pattern(2, 3 * MIB));
      }
      long before = allocatedBytes(own);
      VerifyReport report =
          store.verify(
              new TransferProgress() {
                private boolean merged;

                @Override
                public void onProgress(long doneBytes, long totalBytes) {
                  if (!merged && doneBytes > 4 * MIB) {
                    merged = true;
                    try {
                      store.delete(snapshot);
                      store.maintain();
                    } catch (IOException e) {
                      throw new UncheckedIOException(e);
                    }
                  }
                }

                @Override
                public boolean cancelled() {
                  return false;
                }
              });
      assertTrue(allocatedBytes(own) < before - 2 * MIB, "nothing was freed meanwhile");
      assertEquals(List.of(), report.damages());
      assertTrue(report.checkedBytes() > 60L * MIB, "the large layer was compared");
    }
  }

  private static long allocatedBytes(Path store) throws IOException {
    long sum = 0;
    try (Stream<Path> files = Files.walk(store)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        sum += Posix.allocatedBytes(file);
      }
    }
    return sum;
  }

  /** The disk goes on when there is space again. */
  @ParameterizedTest
  @EnumSource(names = {"NO_SPACE", "OVER_QUOTA"})
  void aFullFileSystemOrQuotaIsToldAsSuchAtAWriteAndAtAFlush(FaultyFiles.Fault fault)
      throws IOException {
    FaultyFiles files = new FaultyFiles();
    try (LocalVolumeStore store = LocalVolumeStore.open(files, new Settings(0))) {
      UUID disk = id();
      store.create(disk, MIB);
      Volume volume = store.open(disk);
      files.faultAtNext("write layers/", fault);
      assertRefused(Reason.OUT_OF_SPACE, () -> volume.write(0, pattern(1, 4096)));
      volume.write(0, pattern(2, 4096));
      files.faultAtNext("write layers/", fault); // of the map
      assertRefused(Reason.OUT_OF_SPACE, volume::flush);
      volume.flush();
      assertArrayEquals(bytes(pattern(2, 4096)), read(volume, 0, 4096));
    }
  }

  @Test
  void theErrorsOfAFullFileSystemAreKnownInTheLanguageOfTheProcess() {
    for (int errno : new int[] {Posix.ENOSPC, Posix.EDQUOT}) {
      IOException told =
          LayerFlusher.outOfSpaceOr(new FileSystemException("file", null, Posix.text(errno)));
      assertEquals(Reason.OUT_OF_SPACE, assertInstanceOf(VolumeException.class, told).reason());
    }
    IOException other = new IOException(Posix.text(5));
    assertSame(other, LayerFlusher.outOfSpaceOr(other));
  }

  @Test
  void growthIsRefusedBeforeTheFileSystemIsFull() throws IOException {
    UUID disk = newDisk(64 * MIB);
    write(disk, 0, pattern(1, MIB));
    store().close();
    long available = Files.getFileStore(directory).getUsableSpace();
    Settings full = new Settings(available + 64 * MIB);
    try (LocalVolumeStore small = LocalVolumeStore.open(directory, full);
        Volume volume = small.open(disk)) {
      assertRefused(Reason.OUT_OF_SPACE, () -> volume.write(32 * MIB, pattern(2, 4096)));
      volume.write(4096, pattern(3, 4096));
      volume.discard(0, 4096);
      volume.flush();
      assertArrayEquals(bytes(pattern(3, 4096)), read(volume, 4096, 4096));
      assertEquals(0, small.capacity().availableBytes());
    }
  }
}
