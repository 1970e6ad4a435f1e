package io.malleable.volume;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What every store must do. A store's test extends this and says how to open one. */
public abstract class VolumeStoreContract {
  public static final int MIB = 1 << 20;

  private VolumeStore store;

  /** Opens the same store again after it was closed. */
  protected abstract VolumeStore openStore() throws IOException;

  @BeforeEach
  protected void openIt() throws IOException {
    store = openStore();
  }

  @AfterEach
  protected void closeIt() throws IOException {
    store.close();
  }

  protected VolumeStore store() {
    return store;
  }

  protected void reopenStore() throws IOException {
    store.close();
    store = openStore();
  }

  public static UUID id() {
    return UUID.randomUUID();
  }

  protected UUID newDisk(long sizeBytes) throws IOException {
    UUID id = id();
    store.create(id, sizeBytes);
    return id;
  }

  /** A sealed volume with bytes of a pattern at its start. */
  protected UUID newImage(long sizeBytes, int patternBytes) throws IOException {
    UUID id = newDisk(sizeBytes);
    try (Volume volume = store.open(id)) {
      volume.write(0, pattern(7, patternBytes));
    }
    store.seal(id);
    return id;
  }

  public static ByteBuffer pattern(int seed, int length) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(length);
    for (int i = 0; i < length; i++) {
      buffer.put((byte) (i * 31 + (i >> 9) * 7 + seed));
    }
    return buffer.flip();
  }

  public static byte[] read(Volume volume, long offset, int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(length);
    volume.read(offset, buffer);
    assertFalse(buffer.hasRemaining());
    byte[] bytes = new byte[length];
    buffer.flip().get(bytes);
    return bytes;
  }

  protected byte[] read(UUID id, long offset, int length) throws IOException {
    try (Volume volume = store.open(id)) {
      return read(volume, offset, length);
    }
  }

  protected void write(UUID id, long offset, ByteBuffer bytes) throws IOException {
    try (Volume volume = store.open(id)) {
      volume.write(offset, bytes);
    }
  }

  public static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }

  public static VolumeException assertRefused(Reason reason, Executable call) {
    VolumeException refusal = assertThrows(VolumeException.class, call);
    assertEquals(reason, refusal.reason());
    return refusal;
  }

  @Test
  void aNewVolumeReadsAsZeroes() throws IOException {
    UUID disk = newDisk(10 * MIB + 512);
    assertArrayEquals(new byte[MIB], read(disk, 9 * MIB + 512, MIB));
    VolumeInfo info = store.find(disk).orElseThrow();
    assertEquals(10 * MIB + 512, info.sizeBytes());
    assertEquals(Optional.empty(), info.parent());
    assertFalse(info.sealed());
  }

  @Test
  void whatIsWrittenIsReadAlsoAfterTheStoreWasOpenedAgain() throws IOException {
    UUID disk = newDisk(MIB);
    ByteBuffer bytes = pattern(1, 5 * 512);
    write(disk, 3 * 512, bytes.duplicate());
    assertArrayEquals(bytes(bytes), read(disk, 3 * 512, 5 * 512));
    reopenStore();
    assertArrayEquals(bytes(bytes), read(disk, 3 * 512, 5 * 512));
    assertArrayEquals(new byte[3 * 512], read(disk, 0, 3 * 512));
    assertArrayEquals(new byte[8 * 512], read(disk, 8 * 512, 8 * 512));
  }

  @Test
  void heapBuffersWorkLikeDirectOnes() throws IOException {
    UUID disk = newDisk(MIB);
    byte[] bytes = bytes(pattern(1, 8192));
    try (Volume volume = store.open(disk)) {
      ByteBuffer source = ByteBuffer.wrap(bytes);
      volume.write(4096, source);
      assertFalse(source.hasRemaining());
      ByteBuffer destination = ByteBuffer.allocate(8192);
      volume.read(4096, destination);
      assertArrayEquals(bytes, destination.array());
    }
  }

  @Test
  void aCloneHasTheContentOfItsParentAndItsOwnWrites() throws IOException {
    UUID image = newImage(MIB, 64 << 10);
    UUID disk = id();
    VolumeInfo info = store.clone(disk, image, 2 * MIB);
    assertEquals(Optional.of(image), info.parent());
    byte[] expected = bytes(pattern(7, 64 << 10));
    assertArrayEquals(expected, read(disk, 0, 64 << 10));
    write(disk, 512, pattern(9, 1024));
    System.arraycopy(bytes(pattern(9, 1024)), 0, expected, 512, 1024);
    assertArrayEquals(expected, read(disk, 0, 64 << 10));
    assertArrayEquals(bytes(pattern(7, 64 << 10)), read(image, 0, 64 << 10));
    assertArrayEquals(new byte[MIB], read(disk, MIB, MIB));
  }

  @Test
  void clonesOfOneImageDoNotSeeEachOther() throws IOException {
    UUID image = newImage(MIB, 8192);
    UUID first = id();
    UUID second = id();
    store.clone(first, image, MIB);
    store.clone(second, image, MIB);
    try (Volume a = store.open(first);
        Volume b = store.open(second)) {
      a.write(0, pattern(1, 4096));
      b.write(0, pattern(2, 512));
      assertArrayEquals(bytes(pattern(1, 4096)), read(a, 0, 4096));
      assertArrayEquals(bytes(pattern(2, 512)), read(b, 0, 512));
      assertArrayEquals(
          Arrays.copyOfRange(bytes(pattern(7, 4096)), 512, 4096), read(b, 512, 4096 - 512));
    }
  }

  @Test
  void aSnapshotKeepsTheMomentWhileTheDiskIsOpenAndWrittenOn() throws IOException {
    UUID disk = newDisk(MIB);
    UUID snapshot = id();
    try (Volume volume = store.open(disk)) {
      volume.write(0, pattern(1, 8192));
      VolumeInfo info = store.snapshot(snapshot, disk);
      assertTrue(info.sealed());
      volume.write(4096, pattern(2, 4096));
      volume.discard(0, 4096);
      assertArrayEquals(new byte[4096], read(volume, 0, 4096));
      assertArrayEquals(bytes(pattern(2, 4096)), read(volume, 4096, 4096));
      assertArrayEquals(bytes(pattern(1, 8192)), read(snapshot, 0, 8192));
    }
    reopenStore();
    assertArrayEquals(bytes(pattern(1, 8192)), read(snapshot, 0, 8192));
    assertArrayEquals(bytes(pattern(2, 4096)), read(disk, 4096, 4096));
    assertArrayEquals(new byte[4096], read(disk, 0, 4096));
  }

  @Test
  void rollbackBringsBackTheContentAndTheSizeOfTheSnapshot() throws IOException {
    UUID disk = newDisk(MIB);
    write(disk, 0, pattern(1, 8192));
    UUID first = id();
    store.snapshot(first, disk);
    write(disk, 0, pattern(2, 8192));
    store.resize(disk, 2 * MIB);
    write(disk, MIB, pattern(3, 8192));
    UUID second = id();
    store.snapshot(second, disk);
    store.rollback(disk, first);
    assertEquals(MIB, store.find(disk).orElseThrow().sizeBytes());
    assertArrayEquals(bytes(pattern(1, 8192)), read(disk, 0, 8192));
    store.resize(disk, 2 * MIB);
    assertArrayEquals(new byte[8192], read(disk, MIB, 8192));
    store.rollback(disk, second);
    assertArrayEquals(bytes(pattern(2, 8192)), read(disk, 0, 8192));
    assertArrayEquals(bytes(pattern(3, 8192)), read(disk, MIB, 8192));
  }

  @Test
  void aSnapshotInTheMiddleOfAChainCanBeDeleted() throws IOException {
    UUID image = newImage(MIB, 16 << 10);
    UUID disk = id();
    store.clone(disk, image, MIB);
    UUID[] snapshots = new UUID[5];
    for (int i = 0; i < snapshots.length; i++) {
      write(disk, i * 4096L, pattern(i, 4096));
      snapshots[i] = id();
      store.snapshot(snapshots[i], disk);
    }
    store.delete(snapshots[2]);
    store.delete(snapshots[1]);
    for (int i = 0; i < snapshots.length; i++) {
      assertArrayEquals(bytes(pattern(i, 4096)), read(disk, i * 4096L, 4096));
    }
    assertArrayEquals(bytes(pattern(3, 4096)), read(snapshots[3], 3 * 4096, 4096));
    byte[] ofImage = bytes(pattern(7, 16 << 10));
    assertArrayEquals(Arrays.copyOfRange(ofImage, 4096, 8192), read(snapshots[0], 4096, 4096));
    store.rollback(disk, snapshots[0]);
    store.delete(snapshots[4]);
    store.delete(snapshots[3]);
    reopenStore();
    assertArrayEquals(bytes(pattern(0, 4096)), read(disk, 0, 4096));
    assertArrayEquals(Arrays.copyOfRange(ofImage, 4096, 8192), read(disk, 4096, 4096));
  }

  @Test
  void aSnapshotOutlivesItsDisk() throws IOException {
    UUID disk = newDisk(MIB);
    write(disk, 0, pattern(1, 4096));
    UUID snapshot = id();
    store.snapshot(snapshot, disk);
    store.delete(disk);
    reopenStore();
    assertArrayEquals(bytes(pattern(1, 4096)), read(snapshot, 0, 4096));
    store.delete(snapshot);
    assertTrue(store.list().isEmpty());
  }

  @Test
  void aSnapshotIsPromotedByCloneAndSeal() throws IOException {
    UUID disk = newDisk(MIB);
    write(disk, 0, pattern(1, 4096));
    UUID snapshot = id();
    store.snapshot(snapshot, disk);
    UUID image = id();
    store.clone(image, snapshot, MIB);
    assertTrue(store.seal(image).sealed());
    UUID other = id();
    store.clone(other, image, MIB);
    write(disk, 0, pattern(2, 4096));
    assertArrayEquals(bytes(pattern(1, 4096)), read(other, 0, 4096));
  }

  private static final TransferProgress CANCELLED =
      new TransferProgress() {
        @Override
        public void onProgress(long doneBytes, long totalBytes) {}

        @Override
        public boolean cancelled() {
          return true;
        }
      };

  @Test
  void aFlattenThatIsCancelledLeavesTheDiskAsItWas() throws IOException {
    UUID image = newImage(8 * MIB, 5 * MIB);
    UUID disk = id();
    store.clone(disk, image, 8 * MIB);
    assertRefused(Reason.CANCELLED, () -> store.flatten(disk, CANCELLED));
    assertEquals(Optional.of(image), store.find(disk).orElseThrow().parent());
    assertArrayEquals(bytes(pattern(7, 5 * MIB)), read(disk, 0, 5 * MIB));
    store.flatten(disk, TransferProgress.NONE);
    assertEquals(Optional.empty(), store.find(disk).orElseThrow().parent());
    assertArrayEquals(bytes(pattern(7, 5 * MIB)), read(disk, 0, 5 * MIB));
  }

  @Test
  void manyVolumesAreFoundAsEachIs() throws IOException {
    UUID image = newImage(2 * MIB, MIB);
    UUID disk = newDisk(MIB);
    UUID absent = id();
    store
        .findMany(List.of(image, disk, absent))
        .forEach((id, info) -> {
          try {
            assertEquals(store.find(id), Optional.of(info));
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        });
  }

  @Test
  void aSizeThatNoVolumeCanHaveIsRefused() throws IOException {
    for (long size : new long[] {0, -512, 513, VolumeStore.MAX_SIZE_BYTES + 512}) {
      assertRefused(Reason.INVALID_SIZE, () -> store.create(id(), size));
    }
    UUID disk = newDisk(MIB);
    assertRefused(Reason.INVALID_SIZE, () -> store.resize(disk, VolumeStore.MAX_SIZE_BYTES + 512));
  }

  @Test
  void flattenCutsTheDiskOffItsParent() throws IOException {
    UUID image = newImage(MIB, 64 << 10);
    UUID disk = id();
    store.clone(disk, image, MIB);
    UUID snapshot = id();
    try (Volume volume = store.open(disk)) {
      volume.write(4096, pattern(1, 4096));
      store.snapshot(snapshot, disk);
      volume.discard(8192, 4096);
      store.flatten(disk);
      assertArrayEquals(new byte[4096], read(volume, 8192, 4096));
    }
    assertEquals(Optional.empty(), store.find(disk).orElseThrow().parent());
    store.delete(snapshot);
    store.delete(image);
    reopenStore();
    byte[] expected = bytes(pattern(7, 64 << 10));
    System.arraycopy(bytes(pattern(1, 4096)), 0, expected, 4096, 4096);
    Arrays.fill(expected, 8192, 8192 + 4096, (byte) 0);
    assertArrayEquals(expected, read(disk, 0, 64 << 10));
  }

  @Test
  void anOpenDiskGrowsAndReadsAsZeroesBehindItsOldEnd() throws IOException {
    UUID disk = newDisk(3 * 512);
    try (Volume volume = store.open(disk)) {
      volume.write(0, pattern(1, 3 * 512));
      assertThrows(IndexOutOfBoundsException.class, () -> volume.write(2 * 512, pattern(1, 1024)));
      store.resize(disk, 10 * 512);
      assertEquals(10 * 512, volume.sizeBytes());
      assertArrayEquals(new byte[7 * 512], read(volume, 3 * 512, 7 * 512));
      volume.write(9 * 512, pattern(2, 512));
    }
    assertRefused(Reason.INVALID_SIZE, () -> store.resize(disk, 512));
    assertEquals(10 * 512, store.find(disk).orElseThrow().sizeBytes());
  }

  @Test
  void discardAndZeroesAtOddOffsetsClearExactlyTheirRange() throws IOException {
    UUID image = newImage(MIB, 256 << 10);
    for (long[] range :
        new long[][] {{512, 512}, {512, 8192}, {4096, 4096}, {3584, 1024}, {0, 256 << 10}}) {
      UUID disk = id();
      store.clone(disk, image, MIB);
      byte[] expected = bytes(pattern(7, 256 << 10));
      Arrays.fill(expected, (int) range[0], (int) (range[0] + range[1]), (byte) 0);
      try (Volume volume = store.open(disk)) {
        volume.discard(range[0], range[1]);
        assertArrayEquals(expected, read(volume, 0, expected.length));
      }
      UUID other = id();
      store.clone(other, image, MIB);
      try (Volume volume = store.open(other)) {
        volume.write(range[0], pattern(3, (int) range[1]));
        volume.writeZeroes(range[0], range[1]);
        assertArrayEquals(expected, read(volume, 0, expected.length));
      }
      reopenStore();
      assertArrayEquals(expected, read(disk, 0, expected.length));
      assertArrayEquals(expected, read(other, 0, expected.length));
    }
  }

  @Test
  void repeatedCallsFindTheirResultInPlace() throws IOException {
    UUID disk = newDisk(MIB);
    VolumeInfo created = store.create(disk, MIB);
    assertEquals(disk, created.id());
    UUID snapshot = id();
    store.snapshot(snapshot, disk);
    write(disk, 0, pattern(1, 512));
    store.snapshot(snapshot, disk);
    assertArrayEquals(new byte[512], read(snapshot, 0, 512));
    UUID child = id();
    store.clone(child, snapshot, MIB);
    store.clone(child, snapshot, MIB);
    store.seal(child);
    store.seal(child);
    store.rollback(disk, snapshot);
    store.rollback(disk, snapshot);
    store.delete(child);
    store.delete(child);
    assertRefused(Reason.ALREADY_EXISTS, () -> store.create(disk, 2 * MIB));
    assertRefused(Reason.ALREADY_EXISTS, () -> store.clone(disk, snapshot, MIB));
    assertRefused(Reason.ALREADY_EXISTS, () -> store.snapshot(disk, snapshot));
    assertRefused(Reason.ALREADY_EXISTS, () -> store.create(snapshot, MIB));
  }

  @Test
  void whatCannotBeDoneIsRefusedAndChangesNothing() throws IOException {
    UUID image = newImage(MIB, 512);
    UUID disk = id();
    store.clone(disk, image, MIB);
    UUID other = newDisk(MIB);
    UUID snapshot = id();
    store.snapshot(snapshot, other);
    UUID absent = id();

    assertRefused(Reason.INVALID_SIZE, () -> store.create(absent, 0));
    assertRefused(Reason.INVALID_SIZE, () -> store.create(absent, 513));
    assertRefused(Reason.INVALID_SIZE, () -> store.create(absent, -512));
    assertRefused(Reason.NOT_FOUND, () -> store.clone(absent, id(), MIB));
    assertRefused(Reason.NOT_SEALED, () -> store.clone(absent, disk, MIB));
    assertRefused(Reason.INVALID_SIZE, () -> store.clone(absent, image, MIB - 512));
    assertRefused(Reason.NOT_FOUND, () -> store.snapshot(absent, id()));
    assertRefused(Reason.SEALED, () -> store.snapshot(absent, image));
    assertRefused(Reason.NOT_FOUND, () -> store.open(absent));
    assertRefused(Reason.NOT_A_SNAPSHOT_OF_DISK, () -> store.rollback(disk, snapshot));
    assertRefused(Reason.SEALED, () -> store.resize(image, 2 * MIB));
    assertRefused(Reason.SEALED, () -> store.flatten(image));
    assertRefused(Reason.HAS_DEPENDANTS, () -> store.delete(image));
    try (Volume open = store.open(disk);
        Volume sealed = store.open(image)) {
      assertRefused(Reason.IN_USE, () -> store.open(disk));
      assertRefused(Reason.IN_USE, () -> store.delete(disk));
      assertRefused(Reason.IN_USE, () -> store.seal(disk));
      assertRefused(Reason.SEALED, () -> sealed.write(0, pattern(1, 512)));
      assertRefused(Reason.SEALED, () -> sealed.discard(0, 512));
      assertThrows(IndexOutOfBoundsException.class, () -> open.read(MIB, pattern(0, 512)));
      assertThrows(IndexOutOfBoundsException.class, () -> open.discard(0, MIB + 512));
    }
    assertEquals(Optional.empty(), store.find(absent));
    assertEquals(4, store.list().size());
  }

  /** What a store copies up at least when a clone is written to for the first time. */
  protected int granularityBytes() {
    return 4096;
  }

  @Test
  void extentsTellOwnFromInheritedFromAbsent() throws IOException {
    long unit = granularityBytes();
    UUID image = newImage(16 * unit, (int) (4 * unit));
    UUID disk = id();
    store.clone(disk, image, 16 * unit);
    try (Volume volume = store.open(disk)) {
      volume.write(2 * unit, pattern(1, 4096));
      assertEquals(new Volume.Extent(Volume.Origin.INHERITED, 2 * unit), volume.extentAt(0));
      assertEquals(new Volume.Extent(Volume.Origin.OWN, unit), volume.extentAt(2 * unit));
      assertEquals(new Volume.Extent(Volume.Origin.ABSENT, 12 * unit), volume.extentAt(4 * unit));
    }
  }

  @Test
  void aDiskSaysWhatItOccupiesByItself() throws IOException {
    int written = Math.max(2 * MIB, granularityBytes());
    long size = 4L * written;
    UUID image = newImage(size, 2 * written);
    UUID disk = id();
    store.clone(disk, image, size);
    assertTrue(store.find(image).orElseThrow().allocatedBytes() >= 2L * written);
    long before = store.find(disk).orElseThrow().allocatedBytes();
    assertTrue(before < MIB, "an empty clone occupies " + before);
    write(disk, 0, pattern(1, written));
    long after = store.find(disk).orElseThrow().allocatedBytes();
    assertTrue(
        after >= written && after < written + MIB, written + " bytes written occupy " + after);
    try (Volume volume = store.open(disk)) {
      volume.discard(0, size);
    }
    long discarded = store.find(disk).orElseThrow().allocatedBytes();
    assertTrue(discarded < MIB, "after a discard of all it occupies " + discarded);
  }

  @Test
  void closingTheStoreFlushesAndClosesItsVolumes() throws IOException {
    UUID disk = newDisk(MIB);
    Volume volume = store.open(disk);
    volume.write(0, pattern(1, 512));
    reopenStore();
    assertThrows(IOException.class, () -> volume.write(0, pattern(2, 512)));
    assertArrayEquals(bytes(pattern(1, 512)), read(disk, 0, 512));
  }

  /** How many random operations the model test does, in all. */
  protected int modelSteps() {
    return 2000;
  }

  @Test
  void randomOperationsDoWhatTheModelSays() throws IOException {
    int runs = 10;
    for (int run = 0; run < runs; run++) {
      long seed = new Random().nextLong();
      ModelRun model = new ModelRun(store, seed);
      try {
        for (int i = 0; i < modelSteps() / runs; i++) {
          model.step();
        }
        model.checkAll();
        reopenStore();
        model.use(store);
        model.checkAll();
        model.deleteAll();
        assertTrue(store.list().isEmpty());
      } catch (AssertionError | IOException | RuntimeException e) {
        throw new AssertionError("seed %dL: %s".formatted(seed, e), e);
      }
    }
  }

  /** The same on volumes that span what stores divide them by, and hold little. */
  @Test
  void randomOperationsOnLargeSparseVolumesDoWhatTheModelSays() throws IOException {
    long seed = new Random().nextLong();
    ModelRun model = new ModelRun(store, seed, ModelRun.Shape.SPARSE);
    try {
      model.run(modelSteps() / 4);
      model.checkAll();
      reopenStore();
      model.use(store);
      model.checkAll();
      model.deleteAll();
      assertTrue(store.list().isEmpty());
    } catch (AssertionError | IOException | RuntimeException e) {
      throw new AssertionError("seed %dL: %s".formatted(seed, e), e);
    }
  }

  /** How many random operations each of several threads does at once. */
  protected int concurrentSteps() {
    return 400;
  }

  @Test
  void operationsOfManyThreadsDoWhatTheModelAllows() throws Exception {
    for (int run = 0; run < 3; run++) {
      long seed = new Random().nextLong();
      try {
        new ConcurrentModelRun(store, seed, concurrentSteps()).run();
        assertTrue(store.list().isEmpty());
      } catch (AssertionError | IOException | RuntimeException | ExecutionException e) {
        throw new AssertionError("seed %dL: %s".formatted(seed, e), e);
      }
    }
  }

  /**
   * Writers fill regions of 7 KiB, odd to all block sizes, with ever higher numbers while snapshots
   * are taken: each region of each snapshot has one number, not older than the last write answered
   * before the call.
   */
  @Test
  void aSnapshotOfABusyDiskHasEachConcurrentWriteWhollyOrNotAtAll() throws Exception {
    int writers = 4;
    int regionsEach = 5;
    int regionBytes = 7 << 10;
    UUID image = newImage(MIB, 64 << 10);
    UUID disk = id();
    store.clone(disk, image, MIB);
    AtomicLongArray answered = new AtomicLongArray(writers * regionsEach);
    AtomicBoolean stop = new AtomicBoolean();
    try (Volume volume = store.open(disk);
        ExecutorService threads = Executors.newFixedThreadPool(writers)) {
      List<Future<?>> running = new ArrayList<>();
      for (int writer = 0; writer < writers; writer++) {
        int first = writer * regionsEach;
        running.add(
            threads.submit(() -> {
              ByteBuffer buffer = ByteBuffer.allocateDirect(regionBytes);
              for (long number = 1; !stop.get(); number++) {
                int region = first + (int) (number % regionsEach);
                buffer.clear();
                while (buffer.hasRemaining()) {
                  buffer.putLong(number);
                }
                volume.write((long) region * regionBytes, buffer.flip());
                answered.set(region, number);
                if (number % 100 == 0) {
                  volume.flush();
                }
              }
              return null;
            }));
      }
      try {
        for (int round = 0; round < 20; round++) {
          long[] before = new long[writers * regionsEach];
          Arrays.setAll(before, answered::get);
          UUID snapshot = id();
          store.snapshot(snapshot, disk);
          checkRegions(snapshot, before, regionBytes);
          if (round % 3 == 2) {
            store.delete(snapshot);
          }
        }
      } finally {
        stop.set(true);
      }
      for (Future<?> writer : running) {
        writer.get();
      }
    }
    long[] last = new long[writers * regionsEach];
    Arrays.setAll(last, answered::get);
    reopenStore();
    checkRegions(disk, last, regionBytes);
  }

  private void checkRegions(UUID id, long[] atLeast, int regionBytes) throws IOException {
    for (int region = 0; region < atLeast.length; region++) {
      ByteBuffer found = ByteBuffer.wrap(read(id, (long) region * regionBytes, regionBytes));
      long number = found.getLong(0);
      if (atLeast[region] > 0) {
        assertTrue(number >= atLeast[region], "an answered write is missing");
        while (found.hasRemaining()) {
          assertEquals(number, found.getLong(), "half of a write");
        }
      }
    }
  }
}
