package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.ModelRun;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.FaultyFiles.Fault;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The power goes, or the storage fails, at each call in turn that the store makes to its files. */
class LocalVolumeStoreCrashTest {
  private static final LocalVolumeStore.Settings SETTINGS =
      new LocalVolumeStore.Settings(0, 3, Pack.MAX_BLOCKS, Duration.ZERO);
  private static final int STEPS = 70;
  private static final int NEW_SEEDS = 2;

  /** Found an error once. */
  private static final long[] REMEMBERED_SEEDS = {
    2802004833614101066L,
    -3902086408076947338L,
    -3249736620596821451L,
    188683772877092867L,
    -6966180836075454536L
  };

  private interface Scenario {
    void run(long seed, long faultAt, FaultyFiles files) throws IOException;
  }

  private static long callsOf(long seed) throws IOException {
    FaultyFiles files = new FaultyFiles();
    ModelRun model = new ModelRun(LocalVolumeStore.open(files, SETTINGS), seed);
    model.run(STEPS);
    return files.calls();
  }

  private static void atEveryCall(Scenario scenario) throws IOException {
    for (long seed : REMEMBERED_SEEDS) {
      atEveryCall(seed, scenario);
    }
    for (int i = 0; i < NEW_SEEDS; i++) {
      atEveryCall(new Random().nextLong(), scenario);
    }
  }

  private static void atEveryCall(long seed, Scenario scenario) throws IOException {
    long calls = callsOf(seed);
    assertTrue(calls > STEPS);
    for (long call = 0; call < calls; call++) {
      try {
        scenario.run(seed, call, new FaultyFiles());
      } catch (AssertionError | IOException | RuntimeException e) {
        throw new AssertionError("seed %dL, fault at call %d: %s".formatted(seed, call, e), e);
      }
    }
  }

  @Test
  void afterAPowerCutAtAnyCallFlushedDataIsThereAndTheRestIsOldOrNew() throws IOException {
    atEveryCall(LocalVolumeStoreCrashTest::cutPower);
  }

  /** What the store must hold then; null when the power went before it was open. */
  private static @Nullable ModelRun runUntilPowerCut(long seed, long call, FaultyFiles files) {
    files.faultAt(call, Fault.POWER_CUT);
    ModelRun model = null;
    try {
      model = new ModelRun(LocalVolumeStore.open(files, SETTINGS), seed);
      model.run(STEPS);
    } catch (IOException e) {
      assertTrue(files.powerIsOff(), e::toString);
    }
    return model;
  }

  /** So many operations, whatever becomes of each. */
  private static void runThroughErrors(ModelRun model, int steps) {
    for (int i = 0; i < steps; i++) {
      try {
        model.step();
      } catch (IOException e) {
        model.history().add("failed: " + e);
      }
    }
  }

  private static void cutPower(long seed, long call, FaultyFiles files) throws IOException {
    ModelRun model = runUntilPowerCut(seed, call, files);
    FaultyFiles survivors = files.afterPowerCut(new Random(seed ^ call));
    try (VolumeStore reopened = LocalVolumeStore.open(survivors, SETTINGS)) {
      if (model != null) {
        model.use(reopened);
        try {
          model.checkAllAfterPowerCut();
        } catch (AssertionError e) {
          throw new AssertionError(e.getMessage() + " after " + last(model.history()), e);
        }
      }
    }
  }

  @Test
  void anAtomicWriteIsWholeOrUndoneAfterAPowerCutAtAnyCall() throws IOException {
    long call = 0;
    while (cutPowerInAnAtomicWrite(call)) {
      call++;
    }
    assertTrue(call > 6, "only " + call + " calls");
  }

  /** Returns whether the power went before the end. */
  private static boolean cutPowerInAnAtomicWrite(long call) throws IOException {
    int length = 128 << 10;
    long offset = 3 * 512; // neither its start nor its end is that of a block
    FaultyFiles files = new FaultyFiles();
    UUID disk = UUID.randomUUID();
    boolean acknowledged = false;
    try {
      VolumeStore store = LocalVolumeStore.open(files, SETTINGS);
      store.create(disk, 1 << 20);
      Volume volume = store.open(disk);
      volume.write(0, filled(1 << 19, (byte) 1));
      volume.flush();
      files.faultAt(call, Fault.POWER_CUT);
      volume.writeAtomically(offset, filled(length, (byte) 2));
      acknowledged = true;
    } catch (IOException e) {
      assertTrue(files.powerIsOff(), e::toString);
    }
    for (int seed = 0; seed < 20; seed++) {
      FaultyFiles survivors = files.afterPowerCut(new Random(seed));
      try (VolumeStore reopened = LocalVolumeStore.open(survivors, SETTINGS);
          Volume volume = reopened.open(disk)) {
        ByteBuffer all = ByteBuffer.allocate(1 << 19);
        volume.read(0, all);
        byte written = all.get((int) offset);
        assertTrue(written == 2 || (written == 1 && !acknowledged), "lost at call " + call);
        for (int i = 0; i < all.capacity(); i++) {
          byte expected = i >= offset && i < offset + length ? written : 1;
          if (expected != all.get(i)) {
            throw new AssertionError("cut at call " + call + ": torn at byte " + i);
          }
        }
      }
    }
    return !acknowledged;
  }

  /**
   * A disk of two blocks of ones, with a snapshot, whose atomic write of twos was not forgotten.
   */
  private static LocalVolumeStore withAnIntentLeft(FaultyFiles files, UUID disk, UUID snapshot)
      throws IOException {
    LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
    store.create(disk, 1 << 20);
    Volume volume = store.open(disk);
    volume.write(0, filled(8192, (byte) 1));
    store.snapshot(snapshot, disk);
    files.faultAtNext("delete intents/", Fault.IO_ERROR);
    assertThrows(IOException.class, () -> volume.writeAtomically(0, filled(8192, (byte) 2)));
    assertTrue(files.faultedCall().startsWith("delete"), files.faultedCall());
    volume.close();
    return store;
  }

  private static void assertFilledAfterRestart(FaultyFiles files, UUID disk, int value)
      throws IOException {
    for (int seed = 0; seed < 10; seed++) {
      FaultyFiles survivors = files.afterPowerCut(new Random(seed));
      try (VolumeStore reopened = LocalVolumeStore.open(survivors, SETTINGS);
          Volume volume = reopened.open(disk)) {
        ByteBuffer found = ByteBuffer.allocate(8192);
        volume.read(0, found);
        assertEquals(filled(8192, (byte) value), found.flip());
      }
    }
  }

  @Test
  void anIntentThatCouldNotBeForgottenDoesNotUndoWhatIsWrittenAfterTheDiskWasReopened()
      throws IOException {
    FaultyFiles files = new FaultyFiles();
    UUID disk = UUID.randomUUID();
    LocalVolumeStore store = withAnIntentLeft(files, disk, UUID.randomUUID());
    Volume volume = store.open(disk);
    volume.write(0, filled(8192, (byte) 3));
    volume.flush();
    assertFilledAfterRestart(files, disk, 3);
  }

  @Test
  void anIntentThatCouldNotBeForgottenDoesNotUndoARollback() throws IOException {
    FaultyFiles files = new FaultyFiles();
    UUID disk = UUID.randomUUID();
    UUID snapshot = UUID.randomUUID();
    LocalVolumeStore store = withAnIntentLeft(files, disk, snapshot);
    store.rollback(disk, snapshot);
    assertFilledAfterRestart(files, disk, 1);
  }

  @Test
  void aWriteThatCannotBeFinishedAtTheStartKeepsItsDiskClosedUntilItIs() throws IOException {
    FaultyFiles files = new FaultyFiles();
    UUID disk = UUID.randomUUID();
    LocalVolumeStore store = withAnIntentLeft(files, disk, UUID.randomUUID());
    store.close();
    files.faultAtNext("sync layers/", Fault.IO_ERROR);
    LocalVolumeStore restarted = LocalVolumeStore.open(files, SETTINGS);
    VolumeException refusal = assertThrows(VolumeException.class, () -> restarted.open(disk));
    assertEquals(VolumeException.Reason.UNAVAILABLE, refusal.reason());
    restarted.close();
    assertFilledAfterRestart(files, disk, 2);
  }

  /** Its layer must not live on in memory because something else holds it open. */
  @Test
  void aDiskThatFailsDuringAScrubGoesOnFromWhatIsDurable() throws IOException {
    FaultyFiles files = new FaultyFiles();
    UUID disk = UUID.randomUUID();
    LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
    store.create(disk, 1 << 20);
    try (Volume volume = store.open(disk)) {
      volume.write(1 << 19, filled(8192, (byte) 1));
    }
    boolean[] failed = new boolean[1];
    store.verify(
        new TransferProgress() {
          @Override
          public void onProgress(long doneBytes, long totalBytes) {
            if (!failed[0]) {
              failed[0] = true;
              failAndWriteAgain();
            }
          }

          private void failAndWriteAgain() {
            try {
              Volume volume = store.open(disk);
              volume.write(0, filled(8192, (byte) 2));
              files.faultAtNext("sync layers/", Fault.IO_ERROR);
              assertThrows(IOException.class, volume::flush);
              assertThrows(IOException.class, volume::close);
              try (Volume again = store.open(disk)) {
                store.maintain();
                again.write(0, filled(8192, (byte) 3));
              }
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }

          @Override
          public boolean cancelled() {
            return false;
          }
        });
    assertTrue(failed[0]);
    assertFilledAfterRestart(files, disk, 3);
  }

  /** What a sync that failed left in the page cache passes for durable when it is read again. */
  @Test
  void aDiskWhoseMapCouldNotBeSyncedIsWholeWhenItWasReopenedAndThePowerWasCut() throws IOException {
    FaultyFiles files = new FaultyFiles();
    UUID disk = UUID.randomUUID();
    LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
    store.create(disk, 1 << 20);
    Volume volume = store.open(disk);
    volume.write(0, filled(8192, (byte) 1));
    volume.flush();
    volume.write(1 << 18, filled(8192, (byte) 2));
    String map =
        files.list(StoreLayout.LAYERS).stream()
            .filter(name -> name.endsWith(StoreLayout.MAP))
            .findFirst()
            .orElseThrow();
    files.faultAtNext("sync layers/" + map, Fault.IO_ERROR);
    assertThrows(IOException.class, volume::flush);
    assertThrows(IOException.class, volume::close);
    try (Volume again = store.open(disk)) {
      assertTrue(store.faults().containsKey(disk));
      assertThrows(IOException.class, () -> again.write(1 << 19, filled(8192, (byte) 3)));
      store.maintain();
      assertEquals(Map.of(), store.faults());
      again.write(1 << 19, filled(8192, (byte) 3));
    }
    assertFilledAfterRestart(files, disk, 1);
  }

  private static ByteBuffer filled(int length, byte value) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, value);
    return ByteBuffer.wrap(bytes);
  }

  @Test
  void afterASecondPowerCutDuringTheRecoveryFlushedDataIsStillThere() throws IOException {
    for (int i = 0; i < NEW_SEEDS; i++) {
      long seed = new Random().nextLong();
      try {
        cutPowerInRecovery(seed, new Random(seed).nextLong(callsOf(seed)));
      } catch (AssertionError | IOException | RuntimeException e) {
        throw new AssertionError("seed %dL: %s".formatted(seed, e), e);
      }
    }
  }

  private static void cutPowerInRecovery(long seed, long call) throws IOException {
    FaultyFiles files = new FaultyFiles();
    ModelRun model = runUntilPowerCut(seed, call, files);
    FaultyFiles survivors = files.afterPowerCut(new Random(seed));
    boolean done = false;
    for (long second = 0; !done; second++) {
      FaultyFiles recovering = survivors.copy();
      recovering.faultAt(second, Fault.POWER_CUT);
      try {
        LocalVolumeStore store = LocalVolumeStore.open(recovering, SETTINGS);
        store.maintain();
        done = !recovering.powerIsOff();
      } catch (IOException e) {
        assertTrue(recovering.powerIsOff(), e::toString);
      }
      FaultyFiles again = recovering.afterPowerCut(new Random(seed ^ second));
      try (VolumeStore reopened = LocalVolumeStore.open(again, SETTINGS)) {
        if (model != null) {
          model.use(reopened);
          model.checkAllAfterPowerCut();
        }
      } catch (AssertionError | IOException e) {
        throw new AssertionError("cut again at " + recovering.faultedCall() + ": " + e, e);
      }
    }
  }

  /** Calls of which one that fails leaves nothing that could be started with. */
  private static final Set<String> INDISPENSABLE =
      Set.of("createDirectory", "list", "syncDirectory");

  @Test
  void anErrorAtAnyCallFromTheStartOfAFullStoreOnHarmsOnlyTheVolumesThatNeedIt()
      throws IOException {
    long seed = new Random().nextLong();
    FaultyFiles full = new FaultyFiles();
    VolumeStore store = LocalVolumeStore.open(full, SETTINGS);
    new ModelRun(store, seed).run(STEPS);
    store.close();
    int calls = 0;
    for (long call = 0; errorAfterStart(seed, call, full.copy()); call++) {
      calls++;
    }
    assertTrue(calls > STEPS, "only " + calls + " calls");
  }

  @Test
  void aRecordThatCannotBeReadIsDamageOfItsVolumeNotOfTheStore() throws IOException {
    FaultyFiles files = new FaultyFiles();
    UUID lost = UUID.randomUUID();
    UUID other = UUID.randomUUID();
    try (LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS)) {
      store.create(lost, 1 << 20);
      store.create(other, 1 << 20);
    }
    files.faultAtNext("read " + StoreLayout.volume(lost), Fault.IO_ERROR);
    try (LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS)) {
      VolumeException damage = assertThrows(VolumeException.class, () -> store.find(lost));
      assertEquals(VolumeException.Reason.CORRUPT, damage.reason());
      assertEquals(List.of(other), store.list().stream().map(VolumeInfo::id).toList());
      assertEquals(
          List.of(lost), store.verify(TransferProgress.NONE).damages().getFirst().volumes());
    }
    try (LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS)) {
      assertTrue(store.find(lost).isPresent());
    }
  }

  /** Returns whether the fault came. */
  private static boolean errorAfterStart(long seed, long call, FaultyFiles files)
      throws IOException {
    FaultyFiles remembered = new FaultyFiles();
    ModelRun model = new ModelRun(LocalVolumeStore.open(remembered, SETTINGS), seed);
    model.run(STEPS);
    files.faultAt(call, Fault.IO_ERROR);
    try {
      LocalVolumeStore store;
      try {
        store = LocalVolumeStore.open(files, SETTINGS);
      } catch (IOException e) {
        String verb = files.faultedCall().split(" ", 2)[0];
        assertTrue(INDISPENSABLE.contains(verb), "no start because of: " + files.faultedCall());
        return true;
      }
      model.use(store);
      runThroughErrors(model, STEPS / 2);
      try {
        store.maintain();
        store.capacity();
      } catch (IOException e) {
        model.history().add("failed: " + e);
      }
      model.closeAll();
      try {
        store.close();
      } catch (IOException e) {
        model.history().add("failed: " + e);
      }
      assertEquals(List.of(), files.openFiles(), "files left open");
      model.use(LocalVolumeStore.open(files.repaired(), SETTINGS));
      model.checkAll();
      return !files.faultedCall().isEmpty();
    } catch (AssertionError | IOException | RuntimeException e) {
      throw new AssertionError(
          "seed %dL, fault at call %d, %s: %s after %s"
              .formatted(seed, call, files.faultedCall(), e, last(model.history())),
          e);
    }
  }

  private static List<String> last(List<String> history) {
    return history.subList(Math.max(0, history.size() - 40), history.size());
  }

  @ParameterizedTest
  @EnumSource(names = {"NO_SPACE", "IO_ERROR"})
  void anErrorAtAnyCallIsToldAndLosesNothingThatWasFlushed(Fault fault) throws IOException {
    atEveryCall((seed, call, files) -> failOnce(seed, call, files, fault));
  }

  private static void failOnce(long seed, long call, FaultyFiles files, Fault fault)
      throws IOException {
    files.faultAt(call, fault);
    ModelRun model;
    LocalVolumeStore store;
    try {
      store = LocalVolumeStore.open(files, SETTINGS);
      model = new ModelRun(store, seed);
    } catch (IOException e) {
      return;
    }
    try {
      runThroughErrors(model, STEPS);
      // A sync that failed in the background is told here at the latest.
      model.closeAll();
      // It may not have come yet: how often background work calls depends on the time.
      files.repaired();
      model.checkAll();
      store.close();
      assertEquals(List.of(), files.openFiles(), "files left open");
      model.use(LocalVolumeStore.open(files.afterPowerCut(new Random(seed ^ call)), SETTINGS));
      model.checkAllAfterPowerCut();
      model.use(LocalVolumeStore.open(files.repaired(), SETTINGS));
      model.checkAll();
    } catch (AssertionError | IOException e) {
      throw new AssertionError(e + " after " + last(model.history()), e);
    }
  }
}
