package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;

/** Who may reach the medium, and in which order. */
class DeviceServerTest {
  private final DeviceServer device;
  private final NexusUnit nexusUnit;

  DeviceServerTest() throws IOException {
    ReservationStore store = ReservationStore.none();
    device = new DeviceServer(new MemoryUnit(1 << 20), store, Duration.ZERO);
    TargetDefinition definition = new TargetDefinition(TestServer.TARGET, Map.of(), Access.open());
    Target target = new Target(definition, new TreeSet<>(), store, IscsiServerConfig.of(List.of()));
    nexusUnit = new NexusUnit(new Nexus(TestServer.INITIATOR, 1, 1), device, target, 0);
    device.attach(nexusUnit);
  }

  private Task begunTask() {
    Task task = new Task();
    task.unit = nexusUnit;
    task.abortGeneration = nexusUnit.abortGeneration();
    return task;
  }

  @Test
  void aTaskThatBeganBeforeAResetCannotReachTheMediumAfterIt() throws Exception {
    Task before = begunTask();
    device.access().unlockRead(device.enterShared(before));
    assertTrue(device.reset(1000));
    assertThrows(TaskAbortedException.class, () -> device.enterShared(before));
    assertThrows(TaskAbortedException.class, () -> device.enterExclusive(before));
    device.access().unlockRead(device.enterShared(begunTask()));
    assertTrue(device.access().idle());
  }

  @Test
  void whoeverMustBeAloneIsNotOvertakenForEver() throws Exception {
    BlockingQueue<String> order = new LinkedBlockingQueue<>();
    long stamp = device.enterShared(begunTask());
    Thread alone =
        started(() -> {
          long own = device.enterExclusive(begunTask());
          order.add("alone");
          device.access().unlockWrite(own);
        });
    awaitWaiting(alone);
    Thread late =
        started(() -> {
          long own = device.enterShared(begunTask());
          order.add("late");
          device.access().unlockRead(own);
        });
    // It would run through if it could.
    awaitWaiting(late);
    device.access().unlockRead(stamp);
    assertEquals("alone", order.take());
    assertEquals("late", order.take());
    alone.join();
    late.join();
  }

  private interface Body {
    void run() throws ScsiException;
  }

  private static Thread started(Body body) {
    return Thread.ofPlatform()
        .daemon()
        .start(() -> {
          try {
            body.run();
          } catch (ScsiException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private static void awaitWaiting(Thread thread) {
    while (thread.getState() != Thread.State.WAITING
        && thread.getState() != Thread.State.TERMINATED) {
      Thread.onSpinWait();
    }
  }

  @Test
  void anAccessThatDoesNotEndMakesAResetFailAndChangesNothing() throws Exception {
    Task task = begunTask();
    long stamp = device.enterShared(task);
    assertFalse(device.reset(1));
    assertFalse(device.clearTaskSet(nexusUnit, 1));
    device.access().unlockRead(stamp);
    device.access().unlockRead(device.enterShared(task));
  }
}
