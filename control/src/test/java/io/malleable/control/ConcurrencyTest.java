package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ConcurrencyTest {
  private static final int CALLERS = 8;

  private Fixture fixture;
  private UUID project;

  @BeforeEach
  void open(@TempDir Path directory) throws IOException {
    fixture = new Fixture(directory);
    project = fixture.project();
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  /** Runs the same request at once and returns the codes of those that were refused. */
  private static List<ErrorCode> refusals(Callable<?> request) throws InterruptedException {
    List<ErrorCode> refused = new ArrayList<>();
    try (ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Object>> calls = new ArrayList<>();
      for (int i = 0; i < CALLERS; i++) {
        calls.add(callers.submit(request::call));
      }
      for (Future<Object> call : calls) {
        try {
          call.get();
        } catch (ExecutionException e) {
          if (!(e.getCause() instanceof ControlException refusal)) {
            throw new AssertionError(e.getCause());
          }
          refused.add(refusal.code());
        }
      }
    }
    return refused;
  }

  @Test
  void aCascadeTakesAllOrNothingWhileOthersCloneAndProvision() throws Exception {
    for (int round = 1; round <= 10; round++) {
      String image = "golden-" + round;
      String name = "n" + round;
      fixture.image(image);
      fixture.disk("idle-" + round, image);
      fixture.node(name, round);
      List<Callable<Object>> calls =
          List.of(
              () ->
                  fixture
                      .control
                      .nodes()
                      .provision(project, name, new BootDrive.OfImage(image), List.of()),
              () -> fixture.end(fixture.control.images().deleteWithDependants(project, image)));
      List<ErrorCode> refused = new ArrayList<>();
      try (ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
        for (Future<Object> call : callers.invokeAll(calls)) {
          try {
            call.get();
          } catch (ExecutionException e) {
            if (!(e.getCause() instanceof ControlException refusal)) {
              throw new AssertionError(e.getCause());
            }
            refused.add(refusal.code());
          }
        }
      }
      assertEquals(1, refused.size(), "one of both comes first: " + refused);
      boolean provisioned =
          refused.getFirst() != ErrorCode.NOT_FOUND
              && refused.getFirst() != ErrorCode.IMAGE_NOT_READY;
      List<String> disks =
          fixture.control.disks().list(project, PageRequest.first()).items().stream()
              .map(Disk::name)
              .toList();
      assertEquals(provisioned, disks.contains(name), refused::toString);
      assertEquals(provisioned, disks.contains("idle-" + round), refused::toString);
    }
  }

  @Test
  void ofManyProvisionsOfOneNodeOneIsDone() throws Exception {
    fixture.image("golden");
    Node node = fixture.node("n1", 1);
    List<ErrorCode> refused =
        refusals(() ->
            fixture
                .control
                .nodes()
                .provision(project, "n1", new BootDrive.OfImage("golden"), List.of()));
    assertEquals(CALLERS - 1, refused.size());
    refused.forEach(code -> assertEquals(ErrorCode.NODE_BUSY, code));
    assertEquals(1, fixture.control.disks().list(project, PageRequest.first()).items().size());
    Operation operation =
        fixture
            .control
            .operations()
            .list(
                project,
                new OperationFilter(
                    Optional.of(OperationKind.NODE_PROVISION),
                    Optional.empty(),
                    Optional.of(node.id())),
                PageRequest.first())
            .items()
            .getFirst();
    fixture.reached(operation, OperationState.WAITING);
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void oneMacGoesToOneNode() throws Exception {
    List<ErrorCode> refused =
        refusals(() ->
            fixture
                .control
                .nodes()
                .add(
                    project,
                    Fixture.spec("n" + Thread.currentThread().threadId(), 1, Optional.empty())));
    assertEquals(CALLERS - 1, refused.size());
    refused.forEach(code -> assertEquals(ErrorCode.MAC_TAKEN, code));
  }

  @Test
  void oneDiskGoesToOneNode() throws Exception {
    fixture.image("golden");
    fixture.disk("data", "golden");
    for (int i = 0; i < CALLERS; i++) {
      fixture.node("n" + i, i + 1);
    }
    java.util.concurrent.atomic.AtomicInteger next =
        new java.util.concurrent.atomic.AtomicInteger();
    List<ErrorCode> refused =
        refusals(() ->
            fixture
                .control
                .nodes()
                .provision(
                    project,
                    "n" + next.getAndIncrement(),
                    new BootDrive.OfDisk("data"),
                    List.of()));
    assertEquals(CALLERS - 1, refused.size());
    assertTrue(fixture.targets.defined().size() <= 1);
  }

  @Test
  void anImageIsDeletedOrClonedButNotBoth() throws Exception {
    fixture.image("golden");
    try (ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Operation> create =
          callers.submit(() ->
              fixture
                  .control
                  .disks()
                  .create(project, "data", new DiskOrigin.OfImage("golden"), Optional.empty()));
      Future<Operation> delete =
          callers.submit(() -> fixture.control.images().delete(project, "golden"));
      int done = 0;
      for (Future<Operation> call : List.of(create, delete)) {
        try {
          if (call.get().state() == OperationState.SUCCEEDED) {
            done++;
          }
        } catch (ExecutionException e) {
          assertInstanceOf(ControlException.class, e.getCause());
        }
      }
      assertEquals(1, done);
    }
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void manyNodesAreProvisionedAtOnce() throws Exception {
    fixture.image("golden");
    List<Operation> operations = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      fixture.node("n" + i, i + 1);
    }
    for (int i = 0; i < 40; i++) {
      operations.add(
          fixture
              .control
              .nodes()
              .provision(project, "n" + i, new BootDrive.OfImage("golden"), List.of()));
    }
    for (int i = 0; i < 40; i++) {
      fixture.reached(operations.get(i), OperationState.WAITING);
      fixture.boots(fixture.control.nodes().get(project, "n" + i));
    }
    for (Operation operation : operations) {
      fixture.succeeded(operation);
    }
    assertEquals(40, fixture.targets.defined().size());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }
}
