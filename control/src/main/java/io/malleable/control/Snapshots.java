package io.malleable.control;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Points in time of disks. */
public final class Snapshots {
  private final Ports ports;
  private final Engine engine;
  private final PatientStore store;

  Snapshots(Ports ports, PatientStore store, Engine engine) {
    this.ports = ports;
    this.engine = engine;
    this.store = store;
    engine.register(OperationKind.SNAPSHOT_CREATE, new Take());
    engine.register(OperationKind.SNAPSHOT_DELETE, new Delete());
    engine.register(OperationKind.SNAPSHOT_PROMOTE, new Promote());
  }

  /**
   * Finds a snapshot by name or id.
   *
   * @throws ControlException NOT_FOUND
   */
  public Snapshot get(UUID project, String reference) {
    return measured(ports.database().read(rows -> Lookup.snapshot(rows, project, reference)));
  }

  /** In the order of names. */
  public Page<Snapshot> list(UUID project, PageRequest request) {
    Page<Snapshot> page =
        ports
            .database()
            .read(rows ->
                request.page(
                    rows.snapshots().page(project, request.afterKey(), request.limit() + 1),
                    Snapshot::name));
    return measuredAll(page);
  }

  /**
   * Those of one disk, in the order of names.
   *
   * @throws ControlException NOT_FOUND
   */
  public Page<Snapshot> listOfDisk(UUID project, String disk, PageRequest request) {
    Page<Snapshot> page =
        ports
            .database()
            .read(rows ->
                request.page(
                    rows.snapshots()
                        .pageOfDisk(
                            Lookup.disk(rows, project, disk).id(),
                            request.afterKey(),
                            request.limit() + 1),
                    Snapshot::name));
    return measuredAll(page);
  }

  private Snapshot measured(Snapshot snapshot) {
    return snapshot.with(new VolumeCheck(ports.database(), store).snapshot(snapshot.id()));
  }

  private Page<Snapshot> measuredAll(Page<Snapshot> page) {
    VolumeCheck check =
        new VolumeCheck(ports.database(), store)
            .lookUp(page.items().stream().map(Snapshot::id).toList());
    return new Page<>(
        page.items().stream()
            .map(snapshot -> snapshot.with(check.snapshot(snapshot.id())))
            .toList(),
        page.next());
  }

  /**
   * Takes a snapshot of a disk, in use or not; crash-consistent.
   *
   * @return the operation; its subject is the snapshot
   * @throws ControlException NAME_INVALID, NAME_TAKEN, NOT_FOUND, DISK_BUSY, DISK_NOT_READY
   */
  public Operation create(UUID project, String name, String diskReference) {
    ResourceName.check("name", name);
    return engine.submit(rows -> {
      if (rows.snapshots().findByName(project, name).isPresent()) {
        throw Lookup.taken(ResourceKind.SNAPSHOT, name);
      }
      Disk disk = Lookup.disk(rows, project, diskReference);
      Claims.requireFree(rows, disk.ref());
      Lookup.requireReady(disk);
      Snapshot snapshot =
          new Snapshot(
              UUID.randomUUID(),
              project,
              "",
              name,
              Snapshot.State.CREATING,
              ports.clock().instant(),
              disk.sizeBytes(),
              new Measure.Unknown(),
              disk.ref(),
              disk.parent());
      rows.snapshots().insert(snapshot);
      return new Submission(
          UUID.randomUUID(),
          OperationKind.SNAPSHOT_CREATE,
          project,
          snapshot.ref(),
          Map.of("snapshot", snapshot.id().toString(), "disk", disk.id().toString()));
    });
  }

  /**
   * Deletes a snapshot; its disk is not touched.
   *
   * @throws ControlException NOT_FOUND, SNAPSHOT_BUSY, SNAPSHOT_HAS_CLONES naming them
   */
  public Operation delete(UUID project, String reference) {
    return engine.submit(rows -> {
      Snapshot snapshot = Lookup.snapshot(rows, project, reference);
      Claims.requireFree(rows, snapshot.ref());
      Dependants.requireNone(
          rows,
          project,
          snapshot.ref(),
          ErrorCode.SNAPSHOT_HAS_CLONES,
          "Delete or flatten them first; a deleted disk lives on in the trash until it is purged.");
      rows.snapshots().update(snapshot.withState(Snapshot.State.DELETING));
      return new Submission(
          UUID.randomUUID(),
          OperationKind.SNAPSHOT_DELETE,
          project,
          snapshot.ref(),
          Map.of("snapshot", snapshot.id().toString()));
    });
  }

  /**
   * Makes a golden image of a snapshot, in constant time.
   *
   * @return the operation; its subject is the image
   * @throws ControlException NAME_INVALID, NAME_TAKEN, NOT_FOUND, SNAPSHOT_BUSY, SNAPSHOT_NOT_READY
   */
  public Operation promote(
      UUID project, String reference, String imageName, Image.Visibility visibility) {
    ResourceName.check("name", imageName);
    return engine.submit(rows -> {
      Snapshot snapshot = Lookup.snapshot(rows, project, reference);
      Claims.requireFree(rows, snapshot.ref());
      Lookup.requireReady(snapshot);
      Images.requireNameFree(rows, project, imageName);
      Image image =
          new Image(
              UUID.randomUUID(),
              project,
              "",
              imageName,
              Image.State.CREATING,
              ports.clock().instant(),
              snapshot.sizeBytes(),
              new Measure.Unknown(),
              Optional.of(snapshot.ref()),
              visibility,
              List.of(),
              Optional.empty(),
              Optional.empty(),
              Optional.of("snapshot " + snapshot.name() + " of disk " + snapshot.disk().name()),
              1);
      rows.images().insert(image);
      return new Submission(
          UUID.randomUUID(),
          OperationKind.SNAPSHOT_PROMOTE,
          project,
          image.ref(),
          Map.of("image", image.id().toString(), "snapshot", snapshot.id().toString()));
    });
  }

  private final class Take implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID id = operation.inputId("snapshot");
      return List.of(
          Step.Action.of(
                  "snapshot",
                  _ -> {
                    long sizeBytes =
                        ports.volumes().snapshot(id, operation.inputId("disk")).sizeBytes();
                    return Step.Outcome.done(rows ->
                        rows.snapshots()
                            .find(id)
                            .ifPresent(s -> rows.snapshots().update(s.taken(sizeBytes))));
                  })
              .undoneBy(_ -> ports.volumes().delete(id)));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Disks.claims(operation);
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      rows.snapshots().delete(operation.inputId("snapshot"));
    }

    @Override
    public Pace pace() {
      return Pace.INSTANT;
    }
  }

  private final class Delete implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID id = operation.inputId("snapshot");
      return List.of(
          Step.Action.of(
              "delete",
              _ -> {
                ports.volumes().delete(id);
                return Step.Outcome.done(rows -> rows.snapshots().delete(id));
              }));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(operation.inputId("snapshot"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      rows.snapshots()
          .find(operation.inputId("snapshot"))
          .ifPresent(s -> rows.snapshots().update(s.withState(Snapshot.State.READY)));
    }

    @Override
    public Pace pace() {
      return Pace.INSTANT;
    }
  }

  private final class Promote implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID id = operation.inputId("image");
      UUID snapshot = operation.inputId("snapshot");
      return List.of(
          Step.Action.of(
                  "clone",
                  run -> {
                    long sizeBytes =
                        run.database()
                            .read(rows -> rows.images().find(id))
                            .orElseThrow(
                                () -> new IllegalStateException("image " + id + " is gone"))
                            .sizeBytes();
                    ports.volumes().clone(id, snapshot, sizeBytes);
                    return Step.Outcome.done();
                  })
              .undoneBy(_ -> ports.volumes().delete(id)),
          Step.Action.of(
              "seal",
              _ -> {
                ports.volumes().seal(id);
                return Step.Outcome.done(rows ->
                    rows.images()
                        .find(id)
                        .ifPresent(i -> rows.images().update(i.withState(Image.State.READY))));
              }));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(operation.inputId("image"), operation.inputId("snapshot"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      rows.images().delete(operation.inputId("image"));
    }

    @Override
    public Pace pace() {
      return Pace.INSTANT;
    }
  }
}
