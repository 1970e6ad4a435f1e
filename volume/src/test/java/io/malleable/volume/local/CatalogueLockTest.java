package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.local.HeldFiles.Hold;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What takes long for one volume holds up nobody who uses another one: a call to its files waits
 * for as long as the others are at work.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CatalogueLockTest {
  private static final int MIB = 1 << 20;

  @TempDir Path directory;

  private HeldFiles held;
  private LocalVolumeStore store;
  private UUID image;

  @BeforeEach
  void openStore() throws IOException {
    held = new HeldFiles(new LocalFiles(directory));
    store = LocalVolumeStore.open(held.files(), new Settings(0));
    image = newImage();
  }

  @AfterEach
  @Timeout(value = 10, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void closeStore() throws IOException {
    store.close();
  }

  private UUID newImage() throws IOException {
    UUID id = newDisk(1);
    store.seal(id);
    return id;
  }

  private UUID newDisk(int value) throws IOException {
    UUID id = UUID.randomUUID();
    store.create(id, MIB);
    try (Volume volume = store.open(id)) {
      volume.write(0, filled(value));
    }
    return id;
  }

  private static ByteBuffer filled(int value) {
    byte[] bytes = new byte[MIB];
    Arrays.fill(bytes, (byte) value);
    return ByteBuffer.wrap(bytes);
  }

  private static void assertHolds(int value, Volume volume) throws IOException {
    ByteBuffer found = ByteBuffer.allocate(MIB);
    volume.read(0, found);
    assertEquals(filled(value), found.flip());
  }

  private UUID layerOf(UUID volume) throws IOException {
    return VolumeRecord.read(new LocalFiles(directory), volume).layer();
  }

  private static <T> FutureTask<T> start(Callable<T> work) {
    FutureTask<T> task = new FutureTask<>(work);
    Thread.ofPlatform().daemon().start(task);
    return task;
  }

  private static Thread startThread(FutureTask<?> task) {
    return Thread.ofPlatform().daemon().start(task);
  }

  private static void awaitWaiting(Thread thread) {
    while (thread.getState() != Thread.State.WAITING
        && thread.getState() != Thread.State.TIMED_WAITING) {
      assertTrue(thread.isAlive(), "it did not wait");
      Thread.onSpinWait();
    }
  }

  private static Reason reasonOf(FutureTask<?> task) {
    ExecutionException failure = assertThrows(ExecutionException.class, task::get);
    return assertInstanceOf(VolumeException.class, failure.getCause()).reason();
  }

  /** All that somebody else may want of the store meanwhile. */
  private void useOthers() throws IOException {
    UUID disk = UUID.randomUUID();
    UUID clone = UUID.randomUUID();
    UUID snapshot = UUID.randomUUID();
    store.create(disk, MIB);
    store.clone(clone, image, MIB);
    assertTrue(store.list().size() >= 3);
    assertTrue(store.find(clone).isPresent());
    assertTrue(store.usable(List.of(clone)).contains(clone));
    assertTrue(store.faults().isEmpty() || !store.faults().containsKey(clone));
    assertTrue(store.capacity().allocatedBytes() > 0);
    try (Volume volume = store.open(clone)) {
      assertHolds(1, volume);
      volume.write(0, filled(2));
      volume.flush();
      store.snapshot(snapshot, clone);
      store.resize(clone, 2L * MIB);
    }
    store.rollback(clone, snapshot);
    store.delete(clone);
    store.delete(snapshot);
    store.seal(disk);
    store.delete(disk);
  }

  @ParameterizedTest
  @ValueSource(strings = {StoreLayout.MAP, StoreLayout.TAIL})
  void openingAVolume(String suffix) throws Exception {
    UUID disk = UUID.randomUUID();
    store.create(disk, MIB);
    store.open(disk).write(0, filled(3));
    // As if the process had died: the next one finds the tail.
    store = LocalVolumeStore.open(held.files(), new Settings(0));
    Hold hold = held.holdNext("read layers/" + layerOf(disk) + suffix);
    FutureTask<Volume> opening = start(() -> store.open(disk));
    hold.awaitBegun();
    useOthers();
    assertEquals(MIB * 2L, store.resize(disk, MIB * 2L).sizeBytes());
    assertFalse(opening.isDone());
    hold.letGo();
    try (Volume volume = opening.get()) {
      assertEquals(MIB * 2L, volume.sizeBytes());
      assertHolds(3, volume);
    }
  }

  @Test
  void whoeverComesWhileAVolumeIsOpenedSharesThatOrWaitsForIt() throws Exception {
    UUID other = newImage();
    String map = "layers/" + layerOf(other) + StoreLayout.MAP;
    int opened = held.calls("sizeBytes " + map);
    Hold hold = held.holdNext("read " + map);
    FutureTask<Volume> first = start(() -> store.open(other));
    hold.awaitBegun();
    FutureTask<Volume> second = new FutureTask<>(() -> store.open(other));
    FutureTask<Object> deletion =
        new FutureTask<>(() -> {
          store.delete(other);
          return this;
        });
    awaitWaiting(startThread(second));
    awaitWaiting(startThread(deletion));
    useOthers();
    hold.letGo();
    try (Volume one = first.get();
        Volume two = second.get()) {
      assertHolds(1, one);
      assertHolds(1, two);
      assertEquals(Reason.IN_USE, reasonOf(deletion));
    }
    assertEquals(opened + 1, held.calls("sizeBytes " + map));
    store.delete(other);
  }

  @Test
  void whatCouldNotBeOpenedIsTriedAgainByWhoeverWaitedForIt() throws Exception {
    UUID other = newImage();
    UUID clone = UUID.randomUUID();
    store.clone(clone, other, MIB);
    String map = "layers/" + layerOf(other) + StoreLayout.MAP;
    Hold hold = held.holdNext("read " + map);
    FutureTask<Volume> first = start(() -> store.open(other));
    hold.awaitBegun();
    FutureTask<Volume> second = new FutureTask<>(() -> store.open(clone));
    awaitWaiting(startThread(second));
    hold.fail();
    ExecutionException failure = assertThrows(ExecutionException.class, first::get);
    assertInstanceOf(IOException.class, failure.getCause());
    try (Volume volume = second.get()) {
      assertHolds(1, volume);
    }
    try (Volume volume = store.open(other)) {
      assertHolds(1, volume);
    }
    store.delete(clone);
    store.delete(other);
    assertTrue(store.find(other).isEmpty());
  }

  @Test
  void theFlushThatASnapshotEndsWith() throws Exception {
    UUID disk = newDisk(1);
    UUID snapshot = UUID.randomUUID();
    String data = "sync layers/" + layerOf(disk) + StoreLayout.DATA;
    try (Volume volume = store.open(disk)) {
      volume.write(0, filled(2));
      Hold bulk = held.holdNext(data);
      FutureTask<VolumeInfo> freezing = start(() -> store.snapshot(snapshot, disk));
      bulk.awaitBegun();
      volume.write(0, filled(3));
      Hold rest = held.holdNext(data);
      bulk.letGo();
      rest.awaitBegun();

      useOthers();
      volume.write(0, filled(4));
      assertHolds(4, volume);
      assertTrue(store.find(snapshot).isEmpty(), "it is there before it is durable");
      assertEquals(Reason.ALREADY_EXISTS, refusal(() -> store.create(snapshot, MIB)));
      assertEquals(Reason.ALREADY_EXISTS, refusal(() -> store.clone(snapshot, image, MIB)));
      assertEquals(Reason.IN_USE, refusal(() -> store.delete(disk)));
      store.maintain();
      FutureTask<VolumeInfo> repeated = new FutureTask<>(() -> store.snapshot(snapshot, disk));
      awaitWaiting(startThread(repeated));
      rest.letGo();
      assertEquals(freezing.get(), repeated.get());
      try (Volume frozen = store.open(snapshot)) {
        assertHolds(3, frozen);
      }
      assertHolds(4, volume);
    }
  }

  private static Reason refusal(Executable call) {
    return assertThrows(VolumeException.class, call).reason();
  }

  @Test
  void aSnapshotWhoseLastFlushFailsLeavesNothingBehind() throws Exception {
    UUID disk = newDisk(1);
    UUID snapshot = UUID.randomUUID();
    String data = "sync layers/" + layerOf(disk) + StoreLayout.DATA;
    try (Volume volume = store.open(disk)) {
      volume.write(0, filled(2));
      Hold bulk = held.holdNext(data);
      FutureTask<VolumeInfo> freezing = start(() -> store.snapshot(snapshot, disk));
      bulk.awaitBegun();
      volume.write(0, filled(3));
      held.failNext(data);
      bulk.letGo();
      assertThrows(ExecutionException.class, freezing::get);
      assertTrue(store.find(snapshot).isEmpty());
      assertHolds(3, volume);
      assertTrue(store.faults().containsKey(disk));
      store.create(snapshot, MIB);
      store.delete(snapshot);
      store.maintain();
      assertFalse(store.faults().containsKey(disk));
      volume.flush();
    }
  }

  @Test
  void theEndOfAMerge() throws Exception {
    UUID disk = newDisk(1);
    UUID lower = UUID.randomUUID();
    store.snapshot(lower, disk);
    try (Volume volume = store.open(disk)) {
      volume.write(0, filled(2).limit(MIB / 2));
      volume.flush();
    }
    UUID above = layerOf(disk);
    store.delete(lower);
    Hold hold = held.holdNext("sync layers/" + above + StoreLayout.MAP + StoreLayout.TEMPORARY);
    FutureTask<Object> merging =
        start(() -> {
          store.maintain();
          return this;
        });
    hold.awaitBegun();
    useOthers();
    try (Volume volume = store.open(disk)) {
      volume.write(0, filled(5));
      assertHolds(5, volume);
      FutureTask<VolumeInfo> snapshot =
          new FutureTask<>(() -> store.snapshot(UUID.randomUUID(), disk));
      Thread taking = startThread(snapshot);
      awaitWaiting(taking);
      useOthers();
      hold.letGo();
      merging.get();
      snapshot.get();
      assertHolds(5, volume);
    }
  }

  @Test
  void theEndOfAFlatten() throws Exception {
    UUID disk = UUID.randomUUID();
    store.clone(disk, image, MIB);
    Hold hold =
        held.holdNext("sync layers/" + layerOf(disk) + StoreLayout.MAP + StoreLayout.TEMPORARY);
    try (Volume volume = store.open(disk)) {
      FutureTask<Object> flattening =
          start(() -> {
            store.flatten(disk);
            return this;
          });
      hold.awaitBegun();
      useOthers();
      volume.write(0, filled(6));
      volume.discard(0, MIB / 2);
      assertEquals(Optional.of(image), store.find(disk).orElseThrow().parent());
      hold.letGo();
      flattening.get();
      ByteBuffer found = ByteBuffer.allocate(MIB);
      volume.read(0, found);
      assertEquals(0, found.get(0));
      assertEquals(6, found.get(MIB - 1));
    }
    assertEquals(Optional.empty(), store.find(disk).orElseThrow().parent());
    try (Volume volume = store.open(disk)) {
      ByteBuffer found = ByteBuffer.allocate(MIB);
      volume.read(0, found);
      assertEquals(0, found.get(0));
      assertEquals(6, found.get(MIB - 1));
    }
  }

  @Test
  void theRecoveryOfADisk() throws Exception {
    UUID disk = newDisk(1);
    String data = "layers/" + layerOf(disk) + StoreLayout.DATA;
    try (Volume volume = store.open(disk)) {
      volume.write(0, filled(7));
      held.failNext("sync " + data);
      assertThrows(IOException.class, volume::flush);
      Hold hold = held.holdNext("write " + data);
      FutureTask<Object> recovering =
          start(() -> {
            store.maintain();
            return this;
          });
      hold.awaitBegun();
      useOthers();
      assertHolds(7, volume);
      hold.letGo();
      recovering.get();
      assertFalse(store.faults().containsKey(disk));
      volume.flush();
    }
  }
}
