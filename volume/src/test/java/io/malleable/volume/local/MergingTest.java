package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.FaultyFiles.Fault;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A layer that a deleted snapshot left is merged into a frozen one, and the storage fails. */
class MergingTest {
  private static final int BLOCK_BYTES = BlockMap.BLOCK_BYTES;
  private static final int BLOCKS = 24;
  private static final Settings SETTINGS = new Settings(0);

  /**
   * A disk that stays open, so that its layers stay in memory whatever happens to the files, and
   * two snapshots. Every second block of the lower one is its own, so that merging takes many runs.
   */
  private static final class Chain {
    final FaultyFiles files = new FaultyFiles();
    final LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
    final UUID disk = UUID.randomUUID();
    final UUID lower = UUID.randomUUID();
    final UUID upper = UUID.randomUUID();
    final byte[] inUpper = new byte[BLOCKS * BLOCK_BYTES];
    final byte[] inDisk;

    Chain() throws IOException {
      store.create(disk, inUpper.length);
      Volume volume = store.open(disk);
      for (int block = 0; block < BLOCKS / 2; block += 2) {
        put(volume, inUpper, block, 1);
      }
      store.snapshot(lower, disk);
      for (int block = BLOCKS / 4; block < BLOCKS; block += 3) {
        put(volume, inUpper, block, 2);
      }
      store.snapshot(upper, disk);
      inDisk = inUpper.clone();
      put(volume, inDisk, 1, 3);
      volume.flush();
    }

    private static void put(Volume volume, byte[] content, int block, int value)
        throws IOException {
      Arrays.fill(content, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES, (byte) value);
      volume.write(
          (long) block * BLOCK_BYTES, ByteBuffer.wrap(content, block * BLOCK_BYTES, BLOCK_BYTES));
    }

    /** Whatever failed is tried once more. */
    void maintainAgain() throws IOException {
      UUID other = UUID.randomUUID();
      store.create(other, BLOCK_BYTES);
      store.delete(other);
      store.maintain();
    }

    /** As another process finds them, all that was written being there. */
    void assertBothAfterRestart() throws IOException {
      try (LocalVolumeStore after = LocalVolumeStore.open(files.copy(), SETTINGS)) {
        assertHolds(inUpper, after, upper);
        assertHolds(inDisk, after, disk);
      }
    }

    void assertUpperAfterPowerCut() throws IOException {
      for (int seed = 0; seed < 10; seed++) {
        try (LocalVolumeStore after =
            LocalVolumeStore.open(files.afterPowerCut(new Random(seed)), SETTINGS)) {
          assertHolds(inUpper, after, upper);
        }
      }
    }

    void assertFrozenLayersSayNoMoreThanIsDurable() throws IOException {
      assertSayNoMoreThanIsDurable(store.frozenViews().iterator().next().layers(), files);
    }

    void assertDiskAfterPowerCut() throws IOException {
      for (int seed = 0; seed < 10; seed++) {
        try (LocalVolumeStore after =
            LocalVolumeStore.open(files.afterPowerCut(new Random(seed)), SETTINGS)) {
          assertHolds(inDisk, after, disk);
        }
      }
    }
  }

  /** What the storage loses must not be read from there, as long as it lies in another place. */
  static void assertSayNoMoreThanIsDurable(List<Layer> layers, FaultyFiles files)
      throws IOException {
    for (Layer layer : layers) {
      for (int seed = 0; seed < 10; seed++) {
        BlockMap durable = new BlockMap();
        MapLog.open(files.afterPowerCut(new Random(seed)), layer.id, durable).close();
        for (int block = 0; block < BLOCKS; block++) {
          int state = layer.map.stateOf(block);
          assertTrue(state == BlockMap.ABSENT || state == durable.stateOf(block), "block " + block);
        }
      }
    }
  }

  static void assertHolds(byte[] expected, VolumeStore store, UUID id) throws IOException {
    ByteBuffer found = ByteBuffer.allocate(expected.length);
    try (Volume volume = store.open(id)) {
      volume.read(0, found);
    }
    assertEquals(ByteBuffer.wrap(expected), found.flip());
  }

  @ParameterizedTest
  @EnumSource(names = {"NO_SPACE", "IO_ERROR"})
  void aMergeThatAnErrorEndsLosesNothingThenOrWhenItIsTriedAgain(Fault fault) throws IOException {
    int calls = 0;
    for (long call = 0; failAndTryAgain(call, fault); call++) {
      calls++;
    }
    assertTrue(calls > 20, "only " + calls + " calls");
  }

  /** Whether the fault came. */
  private static boolean failAndTryAgain(long call, Fault fault) throws IOException {
    Chain chain = new Chain();
    chain.store.delete(chain.lower);
    chain.files.faultAt(call, fault);
    String phase = "the error";
    try {
      try {
        chain.store.maintain();
      } catch (IOException e) {
        assertTrue(!chain.files.faultedCall().isEmpty(), e::toString);
      }
      chain.files.repaired();
      chain.assertFrozenLayersSayNoMoreThanIsDurable();
      assertHolds(chain.inUpper, chain.store, chain.upper);
      chain.assertUpperAfterPowerCut();
      chain.assertBothAfterRestart();
      phase = "it was tried again";
      chain.maintainAgain();
      assertHolds(chain.inUpper, chain.store, chain.upper);
      chain.assertUpperAfterPowerCut();
      chain.assertBothAfterRestart();
      chain.assertDiskAfterPowerCut();
      phase = "the layer was left as well";
      chain.store.delete(chain.upper);
      chain.store.maintain();
      assertHoldsOpen(chain);
      chain.assertDiskAfterPowerCut();
    } catch (AssertionError | IOException e) {
      throw new AssertionError(
          "%s at %s, after %s: %s".formatted(fault, chain.files.faultedCall(), phase, e), e);
    }
    return !chain.files.faultedCall().isEmpty();
  }

  @Test
  void aChainWithALayerWhoseSyncFailedIsPackedWhenItWasOpenedAnew() throws IOException {
    FaultyFiles files = new FaultyFiles();
    LocalVolumeStore store = LocalVolumeStore.open(files, new Settings(0, 3));
    UUID disk = UUID.randomUUID();
    UUID middle = UUID.randomUUID();
    byte[] content = new byte[BLOCKS * BLOCK_BYTES];
    store.create(disk, content.length);
    Volume volume = store.open(disk);
    for (int i = 0; i < 6; i++) {
      Chain.put(volume, content, i, i + 1);
      store.snapshot(i == 2 ? middle : UUID.randomUUID(), disk);
    }
    store.delete(middle);
    files.faultAtNext("sync layers/", Fault.IO_ERROR);
    store.maintain();
    assertTrue(files.faultedCall().startsWith("sync layers/"), files.faultedCall());
    assertEquals(0, packs(files), "packs that may hold what is lost");
    volume.close();
    try (Volume again = store.open(disk)) {
      store.maintain();
      assertEquals(1, packs(files));
      ByteBuffer found = ByteBuffer.allocate(content.length);
      again.read(0, found);
      assertEquals(ByteBuffer.wrap(content), found.flip());
    }
  }

  @Test
  void aMergedLayerThatCannotBeClosedIsDeletedAllTheSame() throws IOException {
    Chain chain = new Chain();
    UUID merged = chain.store.frozenViews().iterator().next().layers().getLast().id;
    chain.store.delete(chain.lower);
    chain.files.faultAtNext("close " + StoreLayout.data(merged), Fault.IO_ERROR);
    assertThrows(IOException.class, chain.store::maintain);
    chain.store.maintain();
    List<String> left = chain.files.list(StoreLayout.LAYERS);
    assertTrue(left.stream().noneMatch(name -> name.contains(merged.toString())), left::toString);
    assertHolds(chain.inUpper, chain.store, chain.upper);
  }

  private static long packs(FaultyFiles files) throws IOException {
    return files.list(StoreLayout.LAYERS).stream().filter(name -> name.endsWith(".pack")).count();
  }

  private static void assertHoldsOpen(Chain chain) throws IOException {
    UUID now = UUID.randomUUID();
    chain.store.snapshot(now, chain.disk);
    assertHolds(chain.inDisk, chain.store, now);
    chain.store.delete(now);
    chain.store.maintain();
  }
}
