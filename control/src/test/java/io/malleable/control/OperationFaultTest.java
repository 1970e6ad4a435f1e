package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Ends the server at every point between two effects of every kind of operation, also while it
 * takes one back, starts it again and looks for what should not be there.
 */
final class OperationFaultTest {
  @TempDir Path directory;

  /** Something to do, on what was there before. */
  private record Scenario(String name, Setup setup, Action action) {}

  @FunctionalInterface
  private interface Setup {
    void on(Fixture fixture) throws Exception;
  }

  @FunctionalInterface
  private interface Action {
    Operation on(Fixture fixture) throws Exception;
  }

  private static List<Scenario> scenarios() {
    List<Scenario> all = new ArrayList<>();
    all.add(new Scenario("image-import", _ -> {}, f -> importing(f, "fresh")));
    all.add(new Scenario("image-import of a broken file", _ -> {}, f -> importing(f, "broken")));
    all.add(
        new Scenario(
            "image-delete",
            f -> f.image("golden"),
            f -> f.control.images().delete(f.project(), "golden")));
    all.add(
        new Scenario(
            "image-delete-cascade",
            OperationFaultTest::diskWithSnapshot,
            f -> f.control.images().deleteWithDependants(f.project(), "golden")));
    all.add(
        new Scenario(
            "image-copy", f -> f.image("golden"), f -> copying(f, Images.CopyMode.LINKED)));
    all.add(
        new Scenario(
            "image-copy-full", f -> f.image("golden"), f -> copying(f, Images.CopyMode.FULL)));
    all.add(new Scenario("disk-create", f -> f.image("golden"), OperationFaultTest::creating));
    all.add(
        new Scenario(
            "disk-delete",
            OperationFaultTest::disk,
            f -> f.control.disks().delete(f.project(), "data", Disks.Deletion.PURGE)));
    all.add(
        new Scenario(
            "disk-resize",
            OperationFaultTest::disk,
            f -> f.control.disks().resize(f.project(), "data", 2 << 20, Optional.empty())));
    all.add(
        new Scenario(
            "disk-flatten",
            OperationFaultTest::disk,
            f -> f.control.disks().flatten(f.project(), "data")));
    all.add(
        new Scenario(
            "disk-rollback",
            OperationFaultTest::diskWithSnapshot,
            f -> f.control.disks().rollback(f.project(), "data", "before")));
    all.add(
        new Scenario(
            "disk-rollback of an exposed disk",
            f -> {
              diskWithSnapshot(f);
              f.succeeded(f.control.disks().expose(f.project(), "data", WriteCache.WRITE_THROUGH));
            },
            f -> f.control.disks().rollback(f.project(), "data", "before")));
    all.add(
        new Scenario(
            "disk-expose",
            OperationFaultTest::disk,
            f -> f.control.disks().expose(f.project(), "data", WriteCache.WRITE_THROUGH)));
    all.add(
        new Scenario(
            "disk-expose without a target",
            OperationFaultTest::disk,
            f -> {
              f.targets.failsToDefine = true;
              return f.control.disks().expose(f.project(), "data", WriteCache.WRITE_THROUGH);
            }));
    all.add(
        new Scenario(
            "disk-withdraw",
            f -> {
              disk(f);
              f.succeeded(f.control.disks().expose(f.project(), "data", WriteCache.WRITE_THROUGH));
            },
            f -> f.control.disks().withdraw(f.project(), "data")));
    all.add(
        new Scenario(
            "snapshot-create",
            OperationFaultTest::disk,
            f -> f.control.snapshots().create(f.project(), "now", "data")));
    all.add(
        new Scenario(
            "snapshot-delete",
            OperationFaultTest::diskWithSnapshot,
            f -> f.control.snapshots().delete(f.project(), "before")));
    all.add(
        new Scenario(
            "snapshot-promote",
            OperationFaultTest::diskWithSnapshot,
            f ->
                f.control
                    .snapshots()
                    .promote(f.project(), "before", "next", Image.Visibility.PUBLIC)));
    all.addAll(nodeScenarios());
    return all;
  }

  private static List<Scenario> nodeScenarios() {
    return List.of(
        new Scenario(
            "node-provision with an image",
            f -> {
              f.image("golden");
              f.node("n1", 1);
            },
            OperationFaultTest::provision),
        new Scenario(
            "node-provision with a disk",
            f -> {
              disk(f);
              f.node("n1", 1);
            },
            f ->
                f.control
                    .nodes()
                    .provision(f.project(), "n1", new BootDrive.OfDisk("data"), List.of())),
        new Scenario(
            "node-provision without a power driver",
            f -> {
              f.image("golden");
              f.manualNode("n1", 1);
            },
            OperationFaultTest::provision),
        new Scenario(
            "node-provision with a broken BMC",
            f -> {
              f.image("golden");
              f.node("n1", 1);
              f.power.machine("n1").broken = true;
            },
            OperationFaultTest::provision),
        new Scenario(
            "node-provision that is aborted while it waits",
            f -> {
              f.image("golden");
              f.node("n1", 1);
              f.reached(provision(f), OperationState.WAITING);
            },
            f ->
                f.control
                    .operations()
                    .abort(f.project(), unfinished(f).getFirst().id().toString())),
        new Scenario(
            "node-release",
            f -> {
              f.image("golden");
              f.provisioned("n1", 1, "golden");
            },
            f -> f.control.nodes().release(f.project(), "n1", Nodes.ReleasedDisk.KEEP)),
        new Scenario(
            "node-release that trashes the disk, with a broken BMC",
            f -> {
              f.image("golden");
              f.provisioned("n1", 1, "golden");
              f.power.machine("n1").broken = true;
            },
            f -> f.control.nodes().release(f.project(), "n1", Nodes.ReleasedDisk.TRASH)),
        new Scenario(
            "node-failover",
            f -> {
              f.image("golden");
              f.provisioned("n1", 1, "golden");
              f.node("n2", 2);
            },
            f -> f.control.nodes().failover(f.project(), "n1", "n2")),
        new Scenario(
            "node-failover without a target",
            f -> {
              f.image("golden");
              f.provisioned("n1", 1, "golden");
              f.node("n2", 2);
            },
            f -> {
              f.faults = failingToDefineAfter(f, "rebind", f.faults);
              return f.control.nodes().failover(f.project(), "n1", "n2");
            }),
        new Scenario(
            "node-power",
            f -> {
              f.image("golden");
              f.provisioned("n1", 1, "golden");
            },
            f -> f.control.nodes().switchPower(f.project(), "n1", PowerAction.CYCLE)),
        new Scenario(
            "node-power of a machine that is held",
            f -> {
              f.image("golden");
              Node node = f.provisioned("n1", 1, "golden");
              f.crash();
              f.lostWrites.add(node.disk().orElseThrow().id());
              f.control.start();
              f.control.resumeOperations();
            },
            f -> {
              f.control.tick();
              return f.control
                  .operations()
                  .list(f.project(), OperationFilter.all(), PageRequest.first())
                  .items()
                  .getFirst();
            }));
  }

  /** The new target cannot be made, the old one can. */
  private static FaultPoints failingToDefineAfter(Fixture f, String step, FaultPoints then) {
    return (kind, name, moment) -> {
      if (name.equals(step)) {
        f.targets.failsToDefine = true;
      } else if (name.equals("undo-withdraw")) {
        f.targets.failsToDefine = false;
      }
      then.reach(kind, name, moment);
    };
  }

  private static Operation importing(Fixture f, String name) {
    return f.control
        .images()
        .importImage(
            f.project(),
            name,
            new ImageSource.LocalFile(Path.of("/images/" + name)),
            ImageExpectation.NONE,
            Image.Visibility.PRIVATE);
  }

  private static Operation copying(Fixture f, Images.CopyMode mode) {
    return f.control
        .images()
        .copy(f.project(), "golden", Optional.empty(), Optional.of("copy"), mode);
  }

  private static Operation creating(Fixture f) {
    return f.control
        .disks()
        .create(f.project(), "data", new DiskOrigin.OfImage("golden"), Optional.empty());
  }

  private static Operation provision(Fixture f) {
    return f.control
        .nodes()
        .provision(f.project(), "n1", new BootDrive.OfImage("golden"), List.of());
  }

  private static void disk(Fixture f) throws InterruptedException {
    f.image("golden");
    f.disk("data", "golden");
  }

  private static void diskWithSnapshot(Fixture f) throws InterruptedException {
    disk(f);
    f.snapshot("before", "data");
  }

  @Test
  void everyKindIsSwept() {
    Set<String> swept = new TreeSet<>();
    scenarios().forEach(s -> swept.add(s.name().split(" ", 2)[0]));
    for (OperationKind kind : OperationKind.values()) {
      assertTrue(swept.contains(kind.word()), kind.word());
    }
  }

  @TestFactory
  Stream<DynamicTest> aServerThatEndsAtAnyPointLeavesNothingBehind() {
    return scenarios().stream()
        .map(scenario ->
            DynamicTest.dynamicTest(
                scenario.name(),
                () -> {
                  Set<String> points = pointsOf(scenario);
                  assertFalse(points.isEmpty());
                  for (String point : points) {
                    endAt(scenario, point, Then.RESUME);
                  }
                }));
  }

  private Path fresh(Scenario scenario, String run) {
    return directory.resolve((scenario.name() + "-" + run).replaceAll("[^a-z0-9-]", "_"));
  }

  private Set<String> pointsOf(Scenario scenario) throws Exception {
    Set<String> points = new ConcurrentSkipListSet<>();
    try (Fixture fixture = new Fixture(fresh(scenario, "whole"))) {
      scenario.setup().on(fixture);
      fixture.faults = (kind, step, moment) -> points.add(Fixture.name(kind, step, moment));
      Operation operation = scenario.action().on(fixture);
      settle(fixture, operation);
      check(fixture);
    }
    return points;
  }

  /** What becomes of the operation after its server ended. */
  private enum Then {
    RESUME,
    /** Somebody is faster than the server with going on. */
    ABORT
  }

  private void endAt(Scenario scenario, String point, Then then) throws Exception {
    try (Fixture fixture = new Fixture(fresh(scenario, point + "-" + then))) {
      scenario.setup().on(fixture);
      CountDownLatch reached = fixture.endAt(point);
      try {
        scenario.action().on(fixture);
      } catch (Engine.Abandoned e) {
        // The operation ran in this thread; the latch says the same.
        assertEquals(0, reached.getCount());
      }
      assertTrue(reached.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS), point);
      fixture.crash();
      fixture.control.start();
      List<Operation> left = unfinished(fixture);
      if (then == Then.ABORT) {
        for (Operation operation : left) {
          abort(fixture, operation);
        }
      }
      fixture.control.resumeOperations();
      for (Operation operation : left) {
        settle(fixture, operation);
      }
      check(fixture);
      fixture.restart();
      check(fixture);
    } catch (AssertionError e) {
      throw new AssertionError("ended at " + point + ", " + then + ": " + e.getMessage(), e);
    }
  }

  private static void abort(Fixture fixture, Operation operation) {
    fixture.control.operations().abort(fixture.project(), operation.id().toString());
  }

  @TestFactory
  Stream<DynamicTest> anOperationThatIsAbortedAtAnyPointLeavesNothingBehind() {
    return scenarios().stream()
        .filter(scenario -> scenario.name().matches("(disk-(expose|withdraw|rollback)|node-).*"))
        .map(scenario ->
            DynamicTest.dynamicTest(
                scenario.name(),
                () -> {
                  for (String point : pointsOf(scenario)) {
                    if (point.contains(":undo-") || point.contains(":restore:")) {
                      // It is being taken back already: swept by the other test.
                      continue;
                    }
                    abortAt(scenario, point);
                    endAt(scenario, point, Then.ABORT);
                  }
                }));
  }

  /** Somebody aborts the operation just when it gets there, and the server goes on. */
  private void abortAt(Scenario scenario, String point) throws Exception {
    try (Fixture fixture = new Fixture(fresh(scenario, point + "-aborted"))) {
      scenario.setup().on(fixture);
      AtomicBoolean once = new AtomicBoolean();
      fixture.faults =
          (kind, step, moment) -> {
            if (point.equals(Fixture.name(kind, step, moment)) && once.compareAndSet(false, true)) {
              abort(fixture, unfinished(fixture).getFirst());
            }
          };
      settle(fixture, scenario.action().on(fixture));
      check(fixture);
      fixture.restart();
      check(fixture);
    } catch (AssertionError e) {
      throw new AssertionError("aborted at " + point + ": " + e.getMessage(), e);
    }
  }

  private static List<Operation> unfinished(Fixture fixture) {
    return fixture.database.read(rows -> rows.operations().unfinished());
  }

  /** Lets the operation end; the machine it may wait for boots. */
  private static void settle(Fixture fixture, Operation operation) throws Exception {
    Operation now = operation;
    while (!now.state().isFinal() && now.state() != OperationState.WAITING) {
      now =
          fixture
              .control
              .operations()
              .await(now.projectId(), now.id().toString(), now.revision(), Fixture.PATIENCE_MILLIS);
    }
    if (now.state() == OperationState.WAITING) {
      fixture.boots(fixture.control.nodes().get(fixture.project(), now.inputId("node").toString()));
      fixture.succeeded(now);
    }
  }

  private static void check(Fixture fixture) throws Exception {
    assertEquals(List.of(), fixture.control.inconsistencies());
    assertEquals(List.of(), unfinished(fixture));
    var project = fixture.project();
    fixture.database.read(rows -> {
      rows.bindings()
          .all()
          .forEach(b -> assertEquals(Binding.State.DEFINED, b.state(), b.toString()));
      rows.nodes().ids().forEach(id -> assertTrue(rows.operations().holder(id).isEmpty(), "claim"));
      rows.disks()
          .ids()
          .forEach(id -> {
            assertTrue(rows.operations().holder(id).isEmpty(), "claim");
            Disk.State state = rows.disks().find(id).orElseThrow().state();
            assertTrue(state == Disk.State.READY || state == Disk.State.TRASHED, state.toString());
          });
      return true;
    });
    for (Image image : fixture.control.images().list(project, PageRequest.first()).items()) {
      assertEquals(Image.State.READY, image.state());
      assertTrue(fixture.volumes.find(image.id()).orElseThrow().sealed());
    }
    for (Snapshot s : fixture.control.snapshots().list(project, PageRequest.first()).items()) {
      assertEquals(Snapshot.State.READY, s.state());
    }
  }
}
