package io.malleable.volume.local;

import static io.malleable.volume.VolumeStoreContract.assertRefused;
import static io.malleable.volume.VolumeStoreContract.bytes;
import static io.malleable.volume.VolumeStoreContract.id;
import static io.malleable.volume.VolumeStoreContract.pattern;
import static io.malleable.volume.VolumeStoreContract.read;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.ConcurrentModelRun;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.local.FaultyFiles.Fault;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Checksums of what a disk has not changed for a while. */
class LiveSumsTest {
  private static final int BLOCK = BlockMap.BLOCK_BYTES;
  private static final long REGION = (long) BlockMap.PAGE_BLOCKS * BLOCK;
  private static final int BLOCKS = 24;

  /** Whatever is not written to at the moment is quiet. */
  private static final Settings AT_ONCE = new Settings(0, 8, Pack.MAX_BLOCKS, Duration.ZERO);

  @TempDir Path directory;

  private final UUID disk = id();

  /** A disk with blocks of data, all of which have checksums. */
  @BeforeEach
  void fill() throws IOException {
    try (LocalVolumeStore store = open()) {
      store.create(disk, 4 * REGION);
      try (Volume volume = store.open(disk)) {
        volume.write(0, pattern(1, BLOCKS * BLOCK));
        store.lookAfterDisks();
      }
    }
  }

  private LocalVolumeStore open() throws IOException {
    return LocalVolumeStore.open(new LocalFiles(directory), AT_ONCE);
  }

  private Path file(String suffix) throws IOException {
    String layer = VolumeRecord.read(new LocalFiles(directory), disk).layer().toString();
    return directory.resolve(StoreLayout.LAYERS).resolve(layer + suffix);
  }

  private static void flip(Path file, long position) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      ByteBuffer one = ByteBuffer.allocate(1);
      channel.read(one, position);
      one.put(0, (byte) (one.get(0) ^ 0x10));
      channel.write(one.rewind(), position);
    }
  }

  private static byte[] block(int seed, int number) {
    ByteBuffer all = pattern(seed, BLOCKS * BLOCK);
    return bytes(all.slice(number * BLOCK, BLOCK));
  }

  private VerifyReport scrub() throws IOException {
    try (LocalVolumeStore store = LocalVolumeStore.openForReading(directory)) {
      return store.verify(TransferProgress.NONE);
    }
  }

  @Test
  void aChangedByteAnywhereInAQuietRegionIsFoundByAReadAndByAScrub() throws IOException {
    Path data = file(StoreLayout.DATA);
    Random random = new Random(5);
    for (int number = 0; number < BLOCKS; number++) {
      long position = (long) number * BLOCK + random.nextInt(BLOCK);
      flip(data, position);
      VerifyReport report = scrub();
      assertEquals(BLOCKS * BLOCK, report.checkedBytes());
      assertEquals(1, report.damages().size(), report.damages()::toString);
      assertEquals(List.of(disk), report.damages().getFirst().volumes());
      try (LocalVolumeStore store = open();
          Volume volume = store.open(disk)) {
        long part = (long) number * BLOCK + 512;
        assertRefused(Reason.CORRUPT, () -> read(volume, part, 512));
        int other = (number + 1) % BLOCKS;
        assertArrayEquals(block(1, other), read(volume, (long) other * BLOCK, BLOCK));
      }
      flip(data, position);
    }
    assertEquals(List.of(), scrub().damages());
  }

  @Test
  void whatWasDamagedBeforeASnapshotIsNotSealedAsItIs() throws IOException {
    flip(file(StoreLayout.DATA), 5 * BLOCK + 7);
    UUID snapshot = id();
    try (LocalVolumeStore store = open()) {
      store.snapshot(snapshot, disk);
      store.maintain();
      try (Volume volume = store.open(snapshot)) {
        assertRefused(Reason.CORRUPT, () -> read(volume, 5 * BLOCK, BLOCK));
        assertArrayEquals(block(1, 6), read(volume, 6 * BLOCK, BLOCK));
      }
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(List.of(snapshot, disk).size(), report.damages().getFirst().volumes().size());
      assertEquals(0, report.uncheckedBytes());
    }
    try (var names = Files.list(directory.resolve(StoreLayout.LAYERS))) {
      assertFalse(
          names.anyMatch(name -> name.toString().endsWith(StoreLayout.LIVE)),
          "checksums that a frozen layer does not need");
    }
  }

  @Test
  void whatWasDamagedBeforeASealIsNotSealedAsItIs() throws IOException {
    flip(file(StoreLayout.DATA), 2 * BLOCK);
    try (LocalVolumeStore store = open()) {
      store.seal(disk);
      try (Volume volume = store.open(disk)) {
        assertRefused(Reason.CORRUPT, () -> read(volume, 2 * BLOCK, BLOCK));
      }
      store.maintain();
    }
    try (LocalVolumeStore store = open();
        Volume volume = store.open(disk)) {
      assertRefused(Reason.CORRUPT, () -> read(volume, 2 * BLOCK, BLOCK));
    }
  }

  /** Every kind of change to some block of the region. */
  @ParameterizedTest
  @ValueSource(strings = {"WRITE", "PART", "NEW", "DISCARD", "ZEROES", "PART_ZEROES", "ATOMIC"})
  void aRegionInFluxIsNotChecked(String change) throws IOException {
    try (LocalVolumeStore store = open();
        Volume volume = store.open(disk)) {
      switch (change) {
        case "WRITE" -> volume.write(3 * BLOCK, pattern(2, BLOCK));
        case "PART" -> volume.write(3 * BLOCK + 512, pattern(2, 512));
        case "NEW" -> volume.write(99 * BLOCK, pattern(2, BLOCK));
        case "DISCARD" -> volume.discard(3 * BLOCK, BLOCK);
        case "ZEROES" -> volume.writeZeroes(3 * BLOCK, BLOCK);
        case "PART_ZEROES" -> volume.writeZeroes(3 * BLOCK + 512, 1024);
        default -> volume.writeAtomically(3 * BLOCK, pattern(2, BLOCK));
      }
      flip(file(StoreLayout.DATA), 4 * BLOCK);
      assertEquals(BLOCK, read(volume, 4 * BLOCK, BLOCK).length);
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(0, report.checkedBytes());
      assertEquals(List.of(), report.damages());
    }
    assertEquals(0, scrub().checkedBytes());
  }

  @Test
  void aBlockThatWasReadIsComparedAgainAfterItWasWritten() throws IOException {
    try (LocalVolumeStore store = open();
        Volume volume = store.open(disk)) {
      read(volume, 3 * BLOCK, BLOCK);
      volume.write(3 * BLOCK, pattern(2, BLOCK));
      store.lookAfterDisks();
      flip(file(StoreLayout.DATA), 3 * BLOCK);
      assertRefused(Reason.CORRUPT, () -> read(volume, 3 * BLOCK, BLOCK));
      volume.write(3 * BLOCK, pattern(4, BLOCK));
      store.lookAfterDisks();
      assertArrayEquals(bytes(pattern(4, BLOCK)), read(volume, 3 * BLOCK, BLOCK));
      assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
    }
  }

  @Test
  void nothingIsMarkedForADiscardOfWhatIsNotThere() throws IOException {
    try (LocalVolumeStore store = open();
        Volume volume = store.open(disk)) {
      volume.discard(BLOCKS * BLOCK, volume.sizeBytes() - BLOCKS * BLOCK);
      assertEquals(BLOCKS * BLOCK, store.verify(TransferProgress.NONE).checkedBytes());
      volume.discard(0, volume.sizeBytes());
      store.lookAfterDisks();
      assertArrayEquals(new byte[BLOCKS * BLOCK], read(volume, 0, BLOCKS * BLOCK));
    }
  }

  @Test
  void whatADiskTakesOverFromAMergeOrAFlattenIsMarkedLikeAWrite() throws IOException {
    UUID snapshot = id();
    UUID clone = id();
    try (LocalVolumeStore store = open()) {
      store.snapshot(snapshot, disk);
      store.clone(clone, snapshot, 4 * REGION);
      try (Volume volume = store.open(disk);
          Volume other = store.open(clone)) {
        volume.write(BLOCKS * BLOCK, pattern(2, BLOCK));
        other.write(BLOCKS * BLOCK, pattern(3, BLOCK));
        store.lookAfterDisks();
        store.flatten(clone);
        assertArrayEquals(bytes(pattern(1, BLOCKS * BLOCK)), read(other, 0, BLOCKS * BLOCK));
        store.delete(snapshot);
        store.lookAfterDisks();
        store.maintain();
        assertArrayEquals(bytes(pattern(1, BLOCKS * BLOCK)), read(volume, 0, BLOCKS * BLOCK));
        store.lookAfterDisks();
      }
    }
    VerifyReport report = scrub();
    assertEquals(List.of(), report.damages());
    assertEquals(2 * (BLOCKS + 1) * BLOCK, report.checkedBytes());
    assertEquals(0, report.uncheckedBytes());
  }

  /** Whatever becomes of the checksums, the data is there. */
  @Test
  void aChangedByteAnywhereInTheChecksumsIsFoundAndHarmsNoDisk() throws IOException {
    Path live = file(StoreLayout.LIVE);
    byte[] good = Files.readAllBytes(live);
    int entry = LiveFile.GROUPS_OFFSET;
    int sums = entry + LiveFile.ENTRIES_BYTES;
    int end = sums + BLOCKS * Integer.BYTES;
    for (int position = 0; position < end; position++) {
      boolean meaningful =
          position < LiveFile.HEADER_BYTES
              || (position >= entry && position < entry + LiveFile.ENTRY_BYTES)
              || position >= sums;
      boolean tried = position < sums || position % 5 == 0;
      if (!meaningful || !tried) {
        continue;
      }
      flip(live, position);
      VerifyReport report = scrub();
      assertEquals(1, report.damages().size(), position + ": " + report.damages());
      assertEquals(List.of(), report.damages().getFirst().volumes());
      try (LocalVolumeStore store = open();
          Volume volume = store.open(disk)) {
        assertArrayEquals(bytes(pattern(1, BLOCKS * BLOCK)), read(volume, 0, BLOCKS * BLOCK));
        volume.write(0, pattern(1, BLOCK));
        store.lookAfterDisks();
      }
      assertEquals(List.of(), scrub().damages(), "made anew");
      assertEquals(BLOCKS * BLOCK, scrub().checkedBytes());
      Files.write(live, good);
    }
    for (int length = 0; length < end; length += 97) {
      Files.write(live, Arrays.copyOf(good, length));
      scrub();
      try (LocalVolumeStore store = open();
          Volume volume = store.open(disk)) {
        assertArrayEquals(bytes(pattern(1, BLOCKS * BLOCK)), read(volume, 0, BLOCKS * BLOCK));
      }
    }
  }

  // What a crash leaves.

  private interface Ending {
    FaultyFiles of(FaultyFiles files, Random random);
  }

  /**
   * A disk in quiet and its first write after that, which ends at each call in turn; the next
   * process goes on, and then the power goes.
   */
  private static void endAtEveryCallOfAWriteToAQuietRegion(Fault fault, Ending ending)
      throws IOException {
    UUID disk = new UUID(7, 7);
    boolean ended = true;
    for (int call = 0; ended; call++) {
      for (int seed = 0; seed < 30; seed++) {
        FaultyFiles files = new FaultyFiles();
        LocalVolumeStore store = LocalVolumeStore.open(files, AT_ONCE);
        store.create(disk, 1 << 20);
        Volume volume = store.open(disk);
        volume.write(0, pattern(1, 2 * BLOCK));
        store.lookAfterDisks();
        files.faultAt(call, fault);
        try {
          volume.write(0, pattern(2, BLOCK));
          ended = false;
        } catch (IOException e) {
          assertTrue(files.powerIsOff(), e::toString);
        }
        Random random = new Random(seed);
        FaultyFiles left = ending.of(files, random);
        Volume next = LocalVolumeStore.open(left, AT_ONCE).open(disk);
        assertArrayEquals(bytes(pattern(1, 2 * BLOCK).position(BLOCK)), read(next, BLOCK, BLOCK));
        read(next, 0, BLOCK);
        next.write(0, pattern(3, BLOCK));
        next.write(BLOCK, pattern(4, BLOCK));
        LocalVolumeStore last = LocalVolumeStore.open(left.afterPowerCut(random), AT_ONCE);
        try (Volume after = last.open(disk)) {
          // Old, new or a mixture, and no damage.
          read(after, 0, 2 * BLOCK);
        }
        assertEquals(List.of(), last.verify(TransferProgress.NONE).damages());
      }
    }
  }

  @Test
  void aProcessThatDiesWhileItMarksARegionLeavesNoMarkThatANextOneTrustsTooMuch()
      throws IOException {
    endAtEveryCallOfAWriteToAQuietRegion(
        Fault.PROCESS_DEATH, (files, random) -> files.afterProcessDeath());
  }

  @Test
  void aPowerCutWhileARegionIsMarkedLeavesItsDataAndItsChecksumsOneOrTheOtherWay()
      throws IOException {
    endAtEveryCallOfAWriteToAQuietRegion(Fault.POWER_CUT, FaultyFiles::afterPowerCut);
  }

  @Test
  void aMarkThatCannotBeMadeCostsTheChecksumsAndNotTheWrite() throws IOException {
    for (String call : List.of("write", "sync", "read")) {
      FaultyFiles files = new FaultyFiles();
      try (LocalVolumeStore store = LocalVolumeStore.open(files, AT_ONCE)) {
        store.create(disk, 1 << 20);
        Volume volume = store.open(disk);
        volume.write(0, pattern(1, BLOCK));
        store.lookAfterDisks();
        String live = nameOf(files, StoreLayout.LIVE);
        files.faultAtNext(call + " " + live, Fault.IO_ERROR);
        volume.write(0, pattern(2, BLOCK));
        assertFalse(files.exists(live), call);
        store.lookAfterDisks();
        assertTrue(files.exists(live), call);
        assertEquals(BLOCK, store.verify(TransferProgress.NONE).checkedBytes());
        volume.close();
      }
    }
  }

  @Test
  void aMarkThatCanNeitherBeMadeNorSparedEndsTheWriteBeforeAByteOfIt() throws IOException {
    FaultyFiles files = new FaultyFiles();
    LocalVolumeStore store = LocalVolumeStore.open(files, AT_ONCE);
    store.create(disk, 1 << 20);
    Volume volume = store.open(disk);
    volume.write(0, pattern(1, BLOCK));
    store.lookAfterDisks();
    String live = nameOf(files, StoreLayout.LIVE);
    StoreFiles failing =
        (StoreFiles)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {StoreFiles.class},
                (proxy, method, arguments) -> {
                  throw new IOException("Input/output error");
                });
    assertTrue(files.exists(live));
    Layer layer =
        new Layer(
            VolumeRecord.read(files, disk).layer(),
            new BlockMap(),
            files.open(nameOf(files, StoreLayout.DATA)),
            MapLog.open(files, VolumeRecord.read(files, disk).layer(), new BlockMap()),
            null);
    LiveSums sums = LiveSums.open(failing, layer);
    for (int i = 0; i < 3; i++) {
      assertThrows(IOException.class, () -> sums.beforeWrite(0, 1));
    }
  }

  private static String nameOf(FaultyFiles files, String suffix) throws IOException {
    return StoreLayout.LAYERS
        + "/"
        + files.list(StoreLayout.LAYERS).stream()
            .filter(name -> name.endsWith(suffix))
            .findFirst()
            .orElseThrow();
  }

  // What it costs.

  /** A write that has found its way before the checksums are made, and arrives after that. */
  @Test
  void checksumsAreNotMadeBeforeAWriteHasArrivedThatIsUnderWay()
      throws IOException, InterruptedException, ExecutionException {
    CountDownLatch entered = new CountDownLatch(1);
    CountDownLatch released = new CountDownLatch(1);
    Counting files =
        new Counting() {
          @Override
          void before(String call) throws InterruptedException {
            if (call.equals("write.data") && entered.getCount() > 0) {
              entered.countDown();
              released.await();
            }
          }
        };
    try (LocalVolumeStore store = LocalVolumeStore.open(files.files(), AT_ONCE);
        Volume volume = store.open(disk)) {
      FutureTask<Void> write =
          new FutureTask<>(() -> {
            volume.write(0, pattern(2, BLOCK));
            return null;
          });
      FutureTask<Void> care =
          new FutureTask<>(() -> {
            store.lookAfterDisks();
            return null;
          });
      Thread writer = Thread.ofPlatform().start(write);
      entered.await();
      Thread other = Thread.ofPlatform().start(care);
      while (other.getState() != Thread.State.WAITING && other.isAlive()) {
        Thread.onSpinWait();
      }
      released.countDown();
      writer.join();
      write.get();
      care.get();
      other.join();
      assertArrayEquals(bytes(pattern(2, BLOCK)), read(volume, 0, BLOCK));
      assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
    }
  }

  /** Counts the calls to each kind of file, by verb and suffix. */
  private class Counting {
    final Map<String, Integer> calls = new HashMap<>();

    /** Told of each call, by verb and suffix, before it is made. */
    void before(@SuppressWarnings("unused") String call) throws InterruptedException {}

    StoreFiles files() {
      return proxy(StoreFiles.class, new LocalFiles(directory), "");
    }

    private <T> T proxy(Class<T> type, T target, String suffix) {
      return type.cast(
          Proxy.newProxyInstance(
              getClass().getClassLoader(),
              new Class<?>[] {type},
              (proxy, method, arguments) -> {
                before(method.getName() + suffix);
                synchronized (calls) {
                  calls.merge(method.getName() + suffix, 1, Integer::sum);
                }
                try {
                  Object result = method.invoke(target, arguments);
                  return result instanceof StoreFile opened
                      ? proxy(StoreFile.class, opened, suffixOf(arguments[0]))
                      : result;
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              }));
    }

    private String suffixOf(Object name) {
      String text = name.toString();
      return text.contains(".") ? text.substring(text.lastIndexOf('.')) : "";
    }

    int take(String call) {
      Integer count = calls.remove(call);
      return count == null ? 0 : count;
    }
  }

  @Test
  void writesHereAndThereOnALargeQuietDiskAreMarkedManyRegionsAtATime() throws IOException {
    int regions = 600;
    Counting counting = new Counting();
    UUID large = id();
    try (LocalVolumeStore store = LocalVolumeStore.open(counting.files(), AT_ONCE)) {
      store.create(large, regions * REGION);
      try (Volume volume = store.open(large)) {
        for (int i = 0; i < regions; i++) {
          volume.write(i * REGION, pattern(i, BLOCK));
        }
        for (int i = 0; i < regions; i += 16) {
          store.lookAfterDisks();
        }
        assertEquals((long) (regions + BLOCKS) * BLOCK, checkedBytes(store));
        counting.calls.clear();
        for (int i = 0; i < regions; i += 2) {
          volume.write((long) (i * 7 % regions) * REGION, pattern(i + 1, BLOCK));
        }
        int syncs = counting.take("sync.live");
        assertTrue(syncs >= 1 && syncs < 24, syncs + " syncs");
        // Those that were not written to have their checksums still.
        flip(dataOf(large), REGION + 100);
        assertRefused(Reason.CORRUPT, () -> read(volume, REGION, BLOCK));
        flip(dataOf(large), REGION + 100);
        assertTrue(checkedBytes(store) < (long) (regions / 2 + BLOCKS) * BLOCK);
        store.lookAfterDisks();
        counting.calls.clear();
        for (int i = 0; i < regions; i += 16) {
          store.lookAfterDisks();
        }
        assertEquals((long) (regions + BLOCKS) * BLOCK, checkedBytes(store));
        assertEquals(0, store.verify(TransferProgress.NONE).uncheckedBytes());
      }
    }
  }

  private static long checkedBytes(LocalVolumeStore store) throws IOException {
    return store.verify(TransferProgress.NONE).checkedBytes();
  }

  private Path dataOf(UUID volume) throws IOException {
    return directory.resolve(
        StoreLayout.data(VolumeRecord.read(new LocalFiles(directory), volume).layer()));
  }

  @Test
  void aDiskThatIsOnlyOverwrittenCostsNoCallsBesidesItsOwn() throws IOException {
    Counting counting = new Counting();
    try (LocalVolumeStore store = LocalVolumeStore.open(counting.files(), AT_ONCE);
        Volume volume = store.open(disk)) {
      volume.write(0, pattern(1, BLOCK));
      counting.calls.clear();
      for (int i = 0; i < 100; i++) {
        volume.write((long) (i % BLOCKS) * BLOCK, pattern(i, BLOCK));
      }
      assertEquals(Map.of("write.data", 100), counting.calls);
    }
  }

  @Test
  void checksumsAreMadeWhileManyWriteAndNeverOfAnythingElseThanWhatIsThere()
      throws IOException, InterruptedException, ExecutionException {
    for (int round = 0; round < 3; round++) {
      try (LocalVolumeStore store = open()) {
        AtomicBoolean ended = new AtomicBoolean();
        FutureTask<Void> care =
            new FutureTask<>(() -> {
              while (!ended.get()) {
                store.lookAfterDisks();
              }
              return null;
            });
        Thread thread = Thread.ofPlatform().start(care);
        try {
          new ConcurrentModelRun(store, new Random().nextLong(), 300).run();
        } finally {
          ended.set(true);
        }
        care.get();
        thread.join();
        assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
      }
    }
  }
}
