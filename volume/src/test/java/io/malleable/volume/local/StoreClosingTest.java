package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A store is closed while others are at work in it. */
@Timeout(value = 10, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class StoreClosingTest {
  private static final int MIB = 1 << 20;

  @TempDir Path directory;

  private static UUID diskOverAnImage(LocalVolumeStore store) throws IOException {
    UUID image = UUID.randomUUID();
    UUID disk = UUID.randomUUID();
    store.create(image, MIB);
    try (Volume volume = store.open(image)) {
      volume.write(0, ByteBuffer.allocate(MIB));
    }
    store.seal(image);
    store.clone(disk, image, MIB);
    return disk;
  }

  private static Reason reasonOf(FutureTask<?> task) {
    ExecutionException failure = assertThrows(ExecutionException.class, task::get);
    return assertInstanceOf(VolumeException.class, failure.getCause()).reason();
  }

  private static Thread start(FutureTask<?> task) {
    return Thread.ofPlatform().daemon().start(task);
  }

  private static FutureTask<?> task(Callable<?> work) {
    return new FutureTask<>(work);
  }

  private static void awaitWaiting(Thread thread) {
    while (thread.getState() != Thread.State.TIMED_WAITING) {
      assertTrue(thread.isAlive(), "it did not wait");
      Thread.onSpinWait();
    }
  }

  private static void awaitRefusal(LocalVolumeStore store) {
    while (true) {
      try {
        store.list();
        Thread.onSpinWait();
      } catch (VolumeException e) {
        assertEquals(Reason.UNAVAILABLE, e.reason());
        return;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Does something at the first report. */
  private static final class AtFirst implements TransferProgress {
    private final Runnable action;
    private boolean done;

    AtFirst(Runnable action) {
      this.action = action;
    }

    @Override
    public void onProgress(long doneBytes, long totalBytes) {
      if (!done) {
        done = true;
        action.run();
      }
    }

    @Override
    public boolean cancelled() {
      return false;
    }
  }

  @Test
  void aFlattenEndsWhenTheStoreIsClosedAndTheDirectoryIsFreeAfterwards() throws Exception {
    LocalVolumeStore store = LocalVolumeStore.open(directory);
    UUID disk = diskOverAnImage(store);
    FutureTask<?> closing =
        task(() -> {
          store.close();
          return null;
        });
    AtFirst close =
        new AtFirst(() -> {
          start(closing);
          awaitRefusal(store);
        });
    VolumeException end = assertThrows(VolumeException.class, () -> store.flatten(disk, close));
    assertEquals(Reason.UNAVAILABLE, end.reason());
    closing.get();
    try (LocalVolumeStore again = LocalVolumeStore.open(directory)) {
      assertTrue(again.find(disk).orElseThrow().parent().isPresent(), "it was flattened");
    }
  }

  @Test
  void theDirectoryStaysLockedAsLongAsSomebodyWritesInIt() throws IOException {
    LocalVolumeStore store = LocalVolumeStore.open(directory);
    UUID disk = diskOverAnImage(store);
    AtFirst closeHastily =
        new AtFirst(() -> {
          Thread.currentThread().interrupt();
          try {
            store.close();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          } finally {
            assertTrue(Thread.interrupted(), "the interrupt is kept");
          }
          VolumeException refusal =
              assertThrows(VolumeException.class, () -> LocalVolumeStore.open(directory));
          assertEquals(Reason.UNAVAILABLE, refusal.reason());
        });
    assertThrows(VolumeException.class, () -> store.flatten(disk, closeHastily));
    assertTrue(closeHastily.done);
  }

  /** Files whose data is not synced until it may be. */
  private static final class HeldSync {
    final CountDownLatch begun = new CountDownLatch(1);
    final CountDownLatch allowed = new CountDownLatch(1);
    volatile boolean holding;

    <T> T over(Class<T> type, T real) {
      return type.cast(
          Proxy.newProxyInstance(
              type.getClassLoader(),
              new Class<?>[] {type},
              (proxy, method, arguments) -> {
                if (holding && method.getName().equals("sync")) {
                  begun.countDown();
                  allowed.await();
                }
                try {
                  Object result = method.invoke(real, arguments);
                  return result instanceof StoreFile file ? over(StoreFile.class, file) : result;
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              }));
    }
  }

  @Test
  void aDeleteThatWaitsForMaintenanceIsRefusedWhenTheStoreIsClosedMeanwhile() throws Exception {
    HeldSync held = new HeldSync();
    StoreFiles real = new LocalFiles(directory);
    LocalVolumeStore store =
        LocalVolumeStore.open(held.over(StoreFiles.class, real), Settings.defaults());
    UUID disk = UUID.randomUUID();
    UUID snapshot = UUID.randomUUID();
    store.create(disk, MIB);
    try (Volume volume = store.open(disk)) {
      volume.write(0, ByteBuffer.allocate(MIB));
    }
    store.snapshot(snapshot, disk);
    store.delete(snapshot);
    held.holding = true;
    FutureTask<?> merging =
        task(() -> {
          store.maintain();
          return null;
        });
    FutureTask<?> deleting =
        task(() -> {
          store.delete(disk);
          return null;
        });
    FutureTask<?> closing =
        task(() -> {
          store.close();
          return null;
        });
    start(merging);
    held.begun.await();
    awaitWaiting(start(deleting));
    awaitWaiting(start(closing));
    held.allowed.countDown();
    assertEquals(Reason.UNAVAILABLE, reasonOf(deleting));
    closing.get();
    merging.get();
    try (LocalVolumeStore again = LocalVolumeStore.open(real, Settings.defaults())) {
      assertTrue(again.find(disk).isPresent(), "it was deleted in a closed store");
    }
  }
}
