package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.VolumeStoreContract;
import io.malleable.volume.local.FaultyFiles.Fault;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Deep chains whose layers are packed into one file: the same content, whatever happens to it. */
class PackTest {
  private static final int BLOCK_BYTES = BlockMap.BLOCK_BYTES;
  private static final int BLOCKS = 40;
  private static final LocalVolumeStore.Settings SETTINGS = new LocalVolumeStore.Settings(0, 3);

  /** Packs so small that a chain needs several. */
  private static final LocalVolumeStore.Settings SMALL_PACKS =
      new LocalVolumeStore.Settings(0, 3, 12);

  @TempDir Path directory;

  /**
   * A disk that is written to, discarded and snapshot at random, its snapshots deleted in any
   * order, the store maintained in between; and what the disk and each snapshot must hold.
   */
  private static final class DeepDisk {
    private final Random random;
    private final UUID disk = UUID.randomUUID();
    private final List<UUID> snapshots = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();
    private byte[] now = new byte[BLOCKS * BLOCK_BYTES];
    private byte value;

    DeepDisk(long seed) {
      random = new Random(seed);
    }

    void run(LocalVolumeStore store, int steps) throws IOException {
      UUID image = UUID.randomUUID();
      store.create(image, now.length);
      try (Volume volume = store.open(image)) {
        put(volume, 0, BLOCKS / 2);
      }
      store.seal(image);
      store.clone(disk, image, now.length);
      try (Volume volume = store.open(disk)) {
        for (int i = 0; i < steps; i++) {
          step(store, volume);
        }
      }
    }

    private void step(LocalVolumeStore store, Volume volume) throws IOException {
      int from = random.nextInt(BLOCKS);
      int count = Math.min(BLOCKS - from, 1 + random.nextInt(6));
      switch (random.nextInt(10)) {
        case 0 -> {
          volume.discard((long) from * BLOCK_BYTES, (long) count * BLOCK_BYTES);
          Arrays.fill(now, from * BLOCK_BYTES, (from + count) * BLOCK_BYTES, (byte) 0);
        }
        case 1 -> store.maintain();
        case 2 -> delete(store);
        case 3, 4, 5, 6 -> snapshot(store);
        default -> put(volume, from, count);
      }
    }

    private void put(Volume volume, int from, int count) throws IOException {
      value++;
      byte[] bytes = new byte[count * BLOCK_BYTES];
      Arrays.fill(bytes, value);
      volume.write((long) from * BLOCK_BYTES, ByteBuffer.wrap(bytes));
      volume.flush();
      System.arraycopy(bytes, 0, now, from * BLOCK_BYTES, bytes.length);
    }

    private void snapshot(LocalVolumeStore store) throws IOException {
      UUID id = UUID.randomUUID();
      store.snapshot(id, disk);
      snapshots.add(id);
      contents.add(now.clone());
    }

    private void delete(LocalVolumeStore store) throws IOException {
      if (!snapshots.isEmpty()) {
        int which = random.nextInt(snapshots.size());
        UUID id = snapshots.remove(which);
        contents.remove(which);
        store.delete(id);
      }
    }

    void check(VolumeStore store) throws IOException {
      for (int i = 0; i < snapshots.size(); i++) {
        check(store, snapshots.get(i), contents.get(i));
      }
    }

    void checkAlsoDisk(VolumeStore store) throws IOException {
      check(store);
      check(store, disk, now);
    }

    private static void check(VolumeStore store, UUID id, byte[] expected) throws IOException {
      ByteBuffer found = ByteBuffer.allocate(expected.length);
      try (Volume volume = store.open(id)) {
        volume.read(0, found);
      }
      assertArrayEquals(expected, found.array());
    }
  }

  private static long packs(FaultyFiles files) throws IOException {
    return files.list(StoreLayout.LAYERS).stream()
        .filter(name -> name.endsWith(StoreLayout.PACK))
        .count();
  }

  @Test
  void packedChainsReadAsUnpackedOnesWhileLayersComeGoAndMerge() throws IOException {
    readAsUnpackedOnes(SETTINGS, 1);
  }

  @Test
  void chainsOfSeveralPacksReadAsUnpackedOnesWhileLayersComeGoAndMerge() throws IOException {
    readAsUnpackedOnes(SMALL_PACKS, 2);
  }

  private static void readAsUnpackedOnes(LocalVolumeStore.Settings settings, int wantedPacks)
      throws IOException {
    int packed = 0;
    for (int run = 0; run < 200; run++) {
      long seed = new Random().nextLong();
      FaultyFiles files = new FaultyFiles();
      DeepDisk deep = new DeepDisk(seed);
      try (LocalVolumeStore store = LocalVolumeStore.open(files, settings)) {
        deep.run(store, 60);
        packed += packs(files) >= wantedPacks ? 1 : 0;
        deep.checkAlsoDisk(store);
      } catch (AssertionError | IOException | RuntimeException e) {
        throw new AssertionError("seed %dL: %s".formatted(seed, e), e);
      }
      try (LocalVolumeStore store = LocalVolumeStore.open(files, settings)) {
        deep.checkAlsoDisk(store);
        store.maintain();
        deep.checkAlsoDisk(store);
      } catch (AssertionError e) {
        throw new AssertionError("seed %dL, reopened: %s".formatted(seed, e), e);
      }
    }
    assertTrue(packed > 100, "only " + packed + " runs had so many packs at their end");
  }

  @Test
  void afterAPowerCutOrAnErrorAtAnyCallPackedSnapshotsAreWhole() throws IOException {
    surviveAtAnyCall(SETTINGS, 1);
  }

  @Test
  void afterAPowerCutOrAnErrorAtAnyCallSnapshotsOfSeveralPacksAreWhole() throws IOException {
    surviveAtAnyCall(SMALL_PACKS, 2);
  }

  private static void surviveAtAnyCall(LocalVolumeStore.Settings settings, int wantedPacks)
      throws IOException {
    for (Fault fault : List.of(Fault.POWER_CUT, Fault.NO_SPACE, Fault.IO_ERROR)) {
      long seed;
      FaultyFiles counting;
      do {
        seed = new Random().nextLong();
        counting = new FaultyFiles();
        try (LocalVolumeStore store = LocalVolumeStore.open(counting, settings)) {
          new DeepDisk(seed).run(store, 40);
        }
      } while (packs(counting) < wantedPacks);
      long calls = counting.calls();
      for (long call = 0; call < calls; call++) {
        try {
          survive(settings, seed, call, fault);
        } catch (AssertionError | IOException | RuntimeException e) {
          throw new AssertionError(
              "seed %dL, %s at call %d: %s".formatted(seed, fault, call, e), e);
        }
      }
    }
  }

  private static void survive(LocalVolumeStore.Settings settings, long seed, long call, Fault fault)
      throws IOException {
    FaultyFiles files = new FaultyFiles();
    files.faultAt(call, fault);
    DeepDisk deep = new DeepDisk(seed);
    try (LocalVolumeStore store = LocalVolumeStore.open(files, settings)) {
      deep.run(store, 40);
    } catch (IOException e) {
      assertFalse(String.valueOf(e.getMessage()).isEmpty());
    }
    if (fault != Fault.POWER_CUT) {
      assertEquals(List.of(), files.openFiles(), "files left open after " + files.faultedCall());
    }
    FaultyFiles after =
        fault == Fault.POWER_CUT ? files.afterPowerCut(new Random(seed ^ call)) : files.repaired();
    try (LocalVolumeStore store = LocalVolumeStore.open(after, settings)) {
      deep.check(store);
      store.maintain();
      deep.check(store);
    }
  }

  private List<Path> packs() throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve(StoreLayout.LAYERS))) {
      return files.filter(file -> file.toString().endsWith(StoreLayout.PACK)).toList();
    }
  }

  @Test
  void aChainIsPackedOncePerEightSnapshotsAndOldPacksGo() throws IOException {
    UUID disk = UUID.randomUUID();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      store.create(disk, 1 << 20);
      try (Volume volume = store.open(disk)) {
        for (int i = 0; i < 64; i++) {
          volume.write((i % 50) * 4096L, VolumeStoreContract.pattern(i, 4096));
          store.snapshot(UUID.randomUUID(), disk);
          store.maintain();
          assertTrue(packs().size() <= 1, "packs that were replaced are there still");
        }
        for (int i = 14; i < 64; i++) {
          assertArrayEquals(
              VolumeStoreContract.bytes(VolumeStoreContract.pattern(i, 4096)),
              VolumeStoreContract.read(volume, (i % 50) * 4096L, 4096));
        }
      }
      assertEquals(1, packs().size());
    }
  }

  /** Gives these blocks of the disk a layer each. */
  private static void writeAndSnapshot(LocalVolumeStore store, Volume volume, int from, int to)
      throws IOException {
    for (int i = from; i < to; i++) {
      volume.write(i * 4096L, VolumeStoreContract.pattern(i, 4096));
      store.snapshot(UUID.randomUUID(), volume.id());
    }
  }

  /** Where the chain of the only open disk is read from. */
  private static int sources(LocalVolumeStore store) throws IOException {
    return store.frozenViews().iterator().next().sourceCount();
  }

  @Test
  void aChainThatHoldsMoreThanOnePackGetsSeveralAndFullOnesAreNotCopiedAgain() throws IOException {
    UUID disk = UUID.randomUUID();
    LocalVolumeStore.Settings settings = new LocalVolumeStore.Settings(0, 8, 16);
    try (LocalVolumeStore store = LocalVolumeStore.open(new LocalFiles(directory), settings)) {
      store.create(disk, 1 << 20);
      try (Volume volume = store.open(disk)) {
        writeAndSnapshot(store, volume, 0, 64);
        store.maintain();
        assertEquals(4, packs().size());
        assertEquals(5, sources(store), "four packs and the lowest layer");
        List<Path> full = packs();
        List<Object> before = new ArrayList<>();
        for (Path pack : full) {
          before.add(Files.readAttributes(pack, BasicFileAttributes.class).fileKey());
        }
        for (int i = 64; i < 100; i++) {
          volume.write(i * 4096L, VolumeStoreContract.pattern(i, 4096));
          store.snapshot(UUID.randomUUID(), disk);
          store.maintain();
          assertTrue(sources(store) <= 8 + packs().size(), sources(store) + " sources");
          assertTrue(packs().size() <= 8, packs().size() + " packs");
        }
        int same = 0;
        for (int i = 0; i < full.size(); i++) {
          boolean kept = Files.exists(full.get(i));
          same +=
              kept
                      && before
                          .get(i)
                          .equals(
                              Files.readAttributes(full.get(i), BasicFileAttributes.class)
                                  .fileKey())
                  ? 1
                  : 0;
        }
        assertTrue(same >= 3, "only " + same + " of 4 are what they were");
        assertBlocks(100, volume);
      }
    }
    try (LocalVolumeStore store = LocalVolumeStore.open(new LocalFiles(directory), settings);
        Volume volume = store.open(disk)) {
      assertBlocks(100, volume);
    }
  }

  private static void assertBlocks(int count, Volume volume) throws IOException {
    for (int i = 0; i < count; i++) {
      assertArrayEquals(
          VolumeStoreContract.bytes(VolumeStoreContract.pattern(i, 4096)),
          VolumeStoreContract.read(volume, i * 4096L, 4096));
    }
  }

  @Test
  void theLowestPacksGoWhenAChainHasGotAsManyAsItMayHave() throws IOException {
    UUID disk = UUID.randomUUID();
    FaultyFiles files = new FaultyFiles();
    LocalVolumeStore.Settings settings = new LocalVolumeStore.Settings(0, 8, 16);
    try (LocalVolumeStore store = LocalVolumeStore.open(files, settings)) {
      store.create(disk, 4 << 20);
      try (Volume volume = store.open(disk)) {
        for (int i = 0; i < 240; i++) {
          volume.write(i * 4096L, VolumeStoreContract.pattern(i, 4096));
          store.snapshot(UUID.randomUUID(), disk);
          if (i % 4 == 0) {
            store.maintain();
            assertTrue(packs(files) <= 8, packs(files) + " packs");
          }
        }
        store.maintain();
        assertTrue(packs(files) >= 7, "only " + packs(files) + " packs");
        List<ChainView.Span> upper = store.frozenViews().iterator().next().spans().subList(0, 18);
        assertEquals(
            packs(files),
            upper.stream().filter(span -> span.pack() != null).count(),
            "packs are where the chain is young");
        assertBlocks(240, volume);
      }
    }
  }

  @Test
  void aDamagedPackOfSeveralIsPassedByAndTheOthersAreUsed() throws IOException {
    UUID disk = UUID.randomUUID();
    LocalVolumeStore.Settings settings = new LocalVolumeStore.Settings(0, 8, 16);
    try (LocalVolumeStore store = LocalVolumeStore.open(new LocalFiles(directory), settings)) {
      store.create(disk, 1 << 20);
      try (Volume volume = store.open(disk)) {
        writeAndSnapshot(store, volume, 0, 64);
        store.maintain();
      }
    }
    for (Path pack : packs()) {
      byte[] whole = Files.readAllBytes(pack);
      byte[] damaged = whole.clone();
      // The first block, and the last checksum: the one is found when it is read, the other at
      // once.
      for (int at : new int[] {4096 + 5, whole.length - 1}) {
        damaged[at] ^= 0x5a;
        Files.write(pack, damaged);
        try (LocalVolumeStore store = LocalVolumeStore.open(new LocalFiles(directory), settings);
            Volume volume = store.open(disk)) {
          assertBlocks(64, volume);
        }
      }
      Files.write(pack, whole);
    }
  }

  @Test
  void aDamagedPackIsNamedByAScrubAndItsLayersAreReadInstead() throws IOException {
    UUID disk = UUID.randomUUID();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      store.create(disk, 1 << 20);
      try (Volume volume = store.open(disk)) {
        writeAndSnapshot(store, volume, 0, 12);
        store.maintain();
      }
    }
    Path pack = packs().getFirst();
    try (RandomAccessFile file = new RandomAccessFile(pack.toFile(), "rw")) {
      file.seek(3 * 4096 + 5);
      file.write(0x5a);
    }
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(1, report.damages().size());
      String what = report.damages().getFirst().what();
      assertTrue(what.contains(".pack is damaged at byte " + 3 * 4096), what);
      assertEquals(List.of(), report.damages().getFirst().volumes(), "their data is whole");
      try (Volume volume = store.open(disk)) {
        for (int i = 0; i < 12; i++) {
          assertArrayEquals(
              VolumeStoreContract.bytes(VolumeStoreContract.pattern(i, 4096)),
              VolumeStoreContract.read(volume, i * 4096L, 4096));
        }
      }
    }
    Files.write(pack, new byte[100]);
    try (LocalVolumeStore store = LocalVolumeStore.open(directory);
        Volume volume = store.open(disk)) {
      assertArrayEquals(
          VolumeStoreContract.bytes(VolumeStoreContract.pattern(5, 4096)),
          VolumeStoreContract.read(volume, 5 * 4096L, 4096));
    }
  }

  @Test
  void aPackThatCanNeitherBeReadNorDeletedDoesNotKeepTheStoreFromOpening() throws IOException {
    UUID disk = UUID.randomUUID();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      store.create(disk, 1 << 20);
      try (Volume volume = store.open(disk)) {
        for (int i = 0; i < 12; i++) {
          volume.write(0, VolumeStoreContract.pattern(i, 4096));
          store.snapshot(UUID.randomUUID(), disk);
        }
        store.maintain();
      }
    }
    Path pack = packs().getFirst();
    Files.delete(pack);
    Files.createDirectories(pack.resolve("not-empty"));
    try (LocalVolumeStore store = LocalVolumeStore.open(directory);
        Volume volume = store.open(disk)) {
      assertBlock(11, volume);
    }
  }

  @Test
  void theMapOfAPackAnswersForEachBlockAsItsRunsSay() {
    Random random = new Random(5);
    for (int round = 0; round < 50; round++) {
      int[] expected = new int[5 * BlockMap.PAGE_BLOCKS];
      Arrays.fill(expected, PackMap.ABSENT);
      RunList runs = new RunList();
      int slot = 0;
      int block = random.nextInt(300);
      int count = 1;
      while (block + count <= expected.length) {
        boolean data = random.nextBoolean();
        runs.add(block, count, data ? BlockMap.DATA : BlockMap.ZERO);
        for (int i = block; i < block + count; i++) {
          expected[i] = data ? slot++ : PackMap.ZERO;
        }
        block += count + random.nextInt(200);
        count = 1 + random.nextInt(random.nextInt(4) == 0 ? 6000 : 200);
      }
      PackMap map = Objects.requireNonNull(PackMap.of(runs));
      assertEquals(slot, map.slots());
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], map.slotOf(i), "block " + i);
      }
    }
  }

  /** Files of which no record of a volume can be written for a while. */
  private static StoreFiles withoutRecords(StoreFiles real, AtomicBoolean failing) {
    return (StoreFiles)
        Proxy.newProxyInstance(
            StoreFiles.class.getClassLoader(),
            new Class<?>[] {StoreFiles.class},
            (proxy, method, arguments) -> {
              if (failing.get()
                  && method.getName().equals("create")
                  && arguments[0] instanceof String name
                  && name.startsWith(StoreLayout.VOLUMES)) {
                throw new IOException("Input/output error");
              }
              try {
                return method.invoke(real, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @Test
  void aLayerThatASnapshotDidNotFreezeForGoodGetsNoPackAndNoChecksums() throws IOException {
    UUID disk = UUID.randomUUID();
    FaultyFiles files = new FaultyFiles();
    AtomicBoolean failing = new AtomicBoolean();
    LocalVolumeStore store = LocalVolumeStore.open(withoutRecords(files, failing), SETTINGS);
    store.create(disk, 1 << 20);
    Volume volume = store.open(disk);
    for (int i = 0; i < 6; i++) {
      volume.write(0, VolumeStoreContract.pattern(i, 4096));
      store.snapshot(UUID.randomUUID(), disk);
    }
    volume.write(0, VolumeStoreContract.pattern(6, 4096));
    failing.set(true);
    assertThrows(IOException.class, () -> store.snapshot(UUID.randomUUID(), disk));
    store.maintain();
    for (int seed = 0; seed < 20; seed++) {
      // Its record names the layer that the snapshot would have frozen.
      FaultyFiles survivors = files.afterPowerCut(new Random(seed));
      try (LocalVolumeStore after = LocalVolumeStore.open(survivors, SETTINGS);
          Volume again = after.open(disk)) {
        assertBlock(6, again);
        again.write(0, VolumeStoreContract.pattern(7, 4096));
        assertBlock(7, again);
        after.snapshot(UUID.randomUUID(), disk);
        assertBlock(7, again);
        after.maintain();
        assertBlock(7, again);
      }
    }
    failing.set(false);
    volume.flush();
    assertBlock(6, volume);
    store.close();
  }

  private static void assertBlock(int seed, Volume volume) throws IOException {
    assertArrayEquals(
        VolumeStoreContract.bytes(VolumeStoreContract.pattern(seed, 4096)),
        VolumeStoreContract.read(volume, 0, 4096));
  }
}
