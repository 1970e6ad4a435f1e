package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.local.FaultyFiles.Fault;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A snapshot freezes the layer of a disk while a layer that was left below is merged into it. */
class SnapshotDuringMergeTest {
  private static final int BLOCK_BYTES = BlockMap.BLOCK_BYTES;
  private static final int BLOCKS = 24;

  /** A merge looks whether it is to end before each of so many runs of blocks. */
  private static final int RUNS = 6;

  private static final Settings SETTINGS = new Settings(0);

  /** A disk in use over a layer that nobody needs, and what the merge of the two is made of. */
  private static final class Scene {
    final FaultyFiles files = new FaultyFiles();
    final UUID disk = UUID.randomUUID();
    final UUID snapshot = UUID.randomUUID();
    final byte[] content = new byte[BLOCKS * BLOCK_BYTES];
    final Maintainer maintainer = new Maintainer();
    final GuardedCatalogue guard;
    final ActiveVolumes volumes;
    final Merging merging;
    private int looks;
    private int snapshotAtLook;
    private Runnable afterSnapshot = () -> {};

    Scene() throws IOException {
      fill();
      SpaceGuard space = new SpaceGuard(files, 0, System::nanoTime);
      guard =
          new GuardedCatalogue(
              files, Catalogue.load(files, MapMemory.unlimited(), StoreScan.Access.MAINTAIN));
      volumes = new ActiveVolumes(guard, files, space, new IntentTable(files), maintainer, 8);
      merging = new Merging(guard, volumes, files, space, this::look);
      volumes.openHandle(disk);
    }

    private void fill() throws IOException {
      try (LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS)) {
        UUID lower = UUID.randomUUID();
        store.create(disk, content.length);
        try (Volume volume = store.open(disk)) {
          for (int run = 0; run < RUNS; run++) {
            put(volume, 2 * run, 1);
          }
          store.snapshot(lower, disk);
          for (int block = 2 * RUNS; block < BLOCKS; block += 3) {
            put(volume, block, 2);
          }
        }
        store.delete(lower);
      }
    }

    private void put(Volume volume, int block, int value) throws IOException {
      int position = block * BLOCK_BYTES;
      Arrays.fill(content, position, position + BLOCK_BYTES, (byte) value);
      volume.write(position, ByteBuffer.wrap(content, position, BLOCK_BYTES));
    }

    /** Whether the merge is to end; never, but there is a snapshot meanwhile. */
    private boolean look() {
      if (looks++ == snapshotAtLook) {
        try {
          takeSnapshot();
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
        afterSnapshot.run();
      }
      return false;
    }

    private void takeSnapshot() throws IOException {
      ActiveVolume source = volumes.activate(disk);
      new Freezing(guard, source, maintainer).snapshot(snapshot);
      volumes.deactivate(source);
    }

    /** Merges with a snapshot in between, then goes on with what that has ended. */
    void mergeWithSnapshotAt(int look, Runnable next) throws IOException {
      snapshotAtLook = look;
      afterSnapshot = next;
      mergeAll();
      mergeAll();
    }

    void mergeAll() throws IOException {
      merging.begin();
      while (merging.mergeOne()) {
        // Each says whether there was anything to do.
      }
      merging.end();
    }

    List<Layer> frozen() throws IOException {
      List<Layer> layers = new ArrayList<>();
      guard.with(catalogue -> {
        volumes.frozenViews().forEach(view -> layers.addAll(view.layers()));
        return null;
      });
      return layers;
    }

    /** To whoever reads from what the snapshot froze now, and after a power cut. */
    void assertNothingIsLost() throws IOException {
      MergingTest.assertSayNoMoreThanIsDurable(frozen(), files);
      ByteBuffer found = ByteBuffer.allocate(content.length);
      ActiveVolume used = volumes.activate(disk);
      used.read(0, found);
      volumes.deactivate(used);
      assertEquals(ByteBuffer.wrap(content), found.flip());
      for (int seed = 0; seed < 10; seed++) {
        try (LocalVolumeStore after =
            LocalVolumeStore.open(files.afterPowerCut(new Random(seed)), SETTINGS)) {
          MergingTest.assertHolds(content, after, disk);
          MergingTest.assertHolds(content, after, snapshot);
        }
      }
    }
  }

  @Test
  void whatASnapshotFreezesIsMergedOnWithoutADisk() throws IOException {
    for (int look = 0; look < RUNS; look++) {
      Scene scene = new Scene();
      scene.mergeWithSnapshotAt(look, () -> {});
      assertEquals(1, scene.frozen().size(), "layers below the disk");
      scene.assertNothingIsLost();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"NO_SPACE", "IO_ERROR"})
  void anErrorAfterTheSnapshotTakesNothingFromItThenOrWhenItIsTriedAgain(Fault fault)
      throws IOException {
    for (int look = 0; look < RUNS; look++) {
      int calls = 0;
      while (failAndTryAgain(look, calls, fault)) {
        calls++;
      }
      assertTrue(calls > 10, "only " + calls + " calls");
    }
  }

  /** Whether the fault came. */
  private static boolean failAndTryAgain(int look, int call, Fault fault) throws IOException {
    Scene scene = new Scene();
    try {
      try {
        scene.mergeWithSnapshotAt(look, () -> scene.files.faultAt(call, fault));
      } catch (IOException e) {
        assertTrue(!scene.files.faultedCall().isEmpty(), e::toString);
      }
      scene.files.repaired();
      scene.assertNothingIsLost();
      scene.merging.tryAgain();
      scene.mergeAll();
      scene.assertNothingIsLost();
    } catch (AssertionError | IOException e) {
      throw new AssertionError(
          "%s at %s, snapshot before run %d: %s"
              .formatted(fault, scene.files.faultedCall(), look, e),
          e);
    }
    return !scene.files.faultedCall().isEmpty();
  }
}
