package io.malleable.control;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** How operations on disks are done. */
final class DiskProcedures {
  private final Ports ports;
  private final TargetSteps targets;

  private DiskProcedures(Ports ports) {
    this.ports = ports;
    this.targets = new TargetSteps(ports);
  }

  static void register(Ports ports, Engine engine) {
    DiskProcedures disks = new DiskProcedures(ports);
    engine.register(
        OperationKind.DISK_CREATE,
        new OfDisk(
            Procedure.Pace.INSTANT,
            operation -> List.of(disks.cloneParent(operation.inputId("disk"))),
            (rows, operation) -> rows.disks().delete(operation.inputId("disk"))));
    engine.register(
        OperationKind.DISK_DELETE,
        new OfDisk(Procedure.Pace.INSTANT, disks::delete, DiskProcedures::intoTrash));
    engine.register(
        OperationKind.DISK_RESIZE, new OfDisk(Procedure.Pace.INSTANT, disks::resize, (_, _) -> {}));
    engine.register(
        OperationKind.DISK_FLATTEN, new OfDisk(Procedure.Pace.LONG, disks::flatten, (_, _) -> {}));
    engine.register(
        OperationKind.DISK_ROLLBACK,
        new OfDisk(
            Procedure.Pace.INSTANT,
            disks::rollback,
            (rows, operation) ->
                TargetSteps.setState(rows, operation.inputId("disk"), Binding.State.DEFINED)));
    engine.register(
        OperationKind.DISK_EXPOSE,
        new OfDisk(
            Procedure.Pace.INSTANT,
            operation -> List.of(disks.targets.expose(operation.inputId("disk"))),
            (rows, operation) -> rows.bindings().delete(operation.inputId("disk"))));
    engine.register(
        OperationKind.DISK_WITHDRAW,
        new OfDisk(Procedure.Pace.SHORT, disks::withdraw, (_, _) -> {}));
  }

  /** Makes the volume of a disk whose row names its parent. */
  Step.Action cloneParent(UUID id) {
    return Step.Action.of(
            "clone",
            run -> {
              Disk disk = run.database().read(rows -> require(rows, id));
              UUID parent =
                  disk.parent()
                      .orElseThrow(() -> new IllegalStateException("no parent of disk " + id))
                      .id();
              ports.volumes().clone(id, parent, disk.sizeBytes());
              return Step.Outcome.done(rows ->
                  rows.disks()
                      .update(require(rows, id).withState(Disk.State.READY, Optional.empty())));
            })
        .undoneBy(_ -> ports.volumes().delete(id));
  }

  static DiskProcedures forNodes(Ports ports) {
    return new DiskProcedures(ports);
  }

  private static Disk require(Rows rows, UUID id) {
    return rows.disks()
        .find(id)
        .orElseThrow(() -> new IllegalStateException("disk " + id + " is gone"));
  }

  private List<Step> delete(Operation operation) {
    if (!Boolean.parseBoolean(operation.input().get("purge"))) {
      return List.of();
    }
    UUID id = operation.inputId("disk");
    return List.of(
        Step.Action.of(
            "delete",
            _ -> {
              ports.targets().clearReservations(id);
              ports.volumes().delete(id);
              return Step.Outcome.done(rows -> rows.disks().delete(id));
            }));
  }

  private static void intoTrash(Rows rows, Operation operation) {
    rows.disks()
        .find(operation.inputId("disk"))
        .ifPresent(
            disk -> rows.disks().update(disk.withState(Disk.State.TRASHED, disk.trashedAt())));
  }

  private List<Step> resize(Operation operation) {
    UUID id = operation.inputId("disk");
    long sizeBytes = Long.parseLong(operation.input().getOrDefault("sizeBytes", ""));
    return List.of(
        Step.Action.of(
            "resize",
            _ -> {
              ports.volumes().resize(id, sizeBytes);
              return Step.Outcome.done(
                  rows -> rows.disks().update(require(rows, id).withSizeBytes(sizeBytes)));
            }));
  }

  private List<Step> flatten(Operation operation) {
    UUID id = operation.inputId("disk");
    return List.of(
        Step.Action.of(
            "flatten",
            run -> {
              ports.volumes().flatten(id, new StepProgress(run));
              return Step.Outcome.done(
                  rows -> rows.disks().update(require(rows, id).withParent(Optional.empty())));
            }));
  }

  private List<Step> rollback(Operation operation) {
    UUID id = operation.inputId("disk");
    UUID snapshot = operation.inputId("snapshot");
    List<Step> steps = new ArrayList<>();
    boolean bound = Boolean.parseBoolean(operation.input().get("bound"));
    if (bound) {
      steps.add(targets.withdraw(id));
    }
    steps.add(
        Step.Action.of(
            "rollback",
            _ -> {
              long sizeBytes = ports.volumes().rollback(id, snapshot).sizeBytes();
              return Step.Outcome.done(rows -> rolledBack(rows, id, snapshot, sizeBytes));
            }));
    if (bound) {
      steps.add(targets.expose(id));
    }
    return steps;
  }

  /** The disk has the size and the ancestors again that it had when the snapshot was taken. */
  private static void rolledBack(Rows rows, UUID id, UUID snapshot, long sizeBytes) {
    Optional<Ref> parent =
        rows.snapshots()
            .find(snapshot)
            .orElseThrow(() -> new IllegalStateException("snapshot " + snapshot + " is gone"))
            .parent();
    rows.disks().update(require(rows, id).withSizeBytes(sizeBytes).withParent(parent));
  }

  private List<Step> withdraw(Operation operation) {
    UUID id = operation.inputId("disk");
    return List.of(targets.withdraw(id), targets.unbind("forget", id, _ -> {}));
  }

  /** A procedure that claims its disk, and its snapshot if it has one. */
  private record OfDisk(
      Pace pace, Function<Operation, List<Step>> plan, BiConsumer<Rows, Operation> afterRollBack)
      implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      return plan.apply(operation);
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Disks.claims(operation);
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      afterRollBack.accept(rows, operation);
    }
  }
}
