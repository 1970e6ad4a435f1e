package io.malleable.control;

import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Writable clones. */
public final class Disks {
  private static final int SECTOR_BYTES = 512;

  private final Ports ports;
  private final Engine engine;
  private final PatientStore store;

  Disks(Ports ports, PatientStore store, Engine engine) {
    this.ports = ports;
    this.engine = engine;
    this.store = store;
    DiskProcedures.register(ports, engine);
  }

  /** Whether a deleted disk can be brought back for a while. */
  public enum Deletion {
    /** Undelete brings it back until the retention is over. */
    TRASH,
    /** At once and for good. */
    PURGE
  }

  /**
   * Finds a disk that is not in the trash.
   *
   * @throws ControlException NOT_FOUND
   */
  public Disk get(UUID project, String reference) {
    return measured(
        ports.database().read(rows -> seenByOwner(rows, Lookup.disk(rows, project, reference))));
  }

  /** In the order of names, without the trash. */
  public Page<Disk> list(UUID project, PageRequest request) {
    Page<Disk> page =
        ports
            .database()
            .read(rows ->
                request.page(
                    seenByOwner(
                        rows,
                        project,
                        rows.disks().page(project, request.afterKey(), request.limit() + 1)),
                    Disk::name));
    return measuredAll(page);
  }

  /** The trash in the order of names. */
  public Page<Disk> listTrash(UUID project, PageRequest request) {
    Page<Disk> page =
        ports
            .database()
            .read(rows ->
                request.page(
                    seenByOwner(
                        rows,
                        project,
                        rows.disks().pageTrashed(project, request.afterKey(), request.limit() + 1)),
                    disk -> disk.name() + "/" + disk.id()));
    return measuredAll(page);
  }

  /** Of what a disk was made is not shown when its project may not see it (any more). */
  private static List<Disk> seenByOwner(Rows rows, UUID project, List<Disk> disks) {
    Set<UUID> visible = Lineage.visibleParents(rows, disks, project);
    return disks.stream()
        .map(disk -> disk.withParent(disk.parent().filter(parent -> visible.contains(parent.id()))))
        .toList();
  }

  private static Disk seenByOwner(Rows rows, Disk disk) {
    return seenByOwner(rows, disk.projectId(), List.of(disk)).getFirst();
  }

  private Disk measured(Disk disk) {
    return disk.with(new VolumeCheck(ports.database(), store).disk(disk.id()));
  }

  private Page<Disk> measuredAll(Page<Disk> page) {
    VolumeCheck check =
        new VolumeCheck(ports.database(), store)
            .lookUp(page.items().stream().map(Disk::id).toList());
    return new Page<>(
        page.items().stream().map(disk -> disk.with(check.disk(disk.id()))).toList(), page.next());
  }

  /**
   * Clones an image or snapshot.
   *
   * @param sizeBytes at least the parent's, a multiple of 512; absent means the parent's
   * @return the operation; its subject is the disk
   * @throws ControlException NAME_INVALID, NAME_TAKEN, NOT_FOUND, IMAGE_NOT_READY,
   *     SNAPSHOT_NOT_READY, SIZE_INVALID
   */
  public Operation create(UUID project, String name, DiskOrigin origin, Optional<Long> sizeBytes) {
    ResourceName.check("name", name);
    return engine.submit(rows -> {
      requireNameFree(rows, project, name);
      Disk disk = insertClone(rows, project, name, origin, sizeBytes, ports.clock().instant());
      return new Submission(
          UUID.randomUUID(),
          OperationKind.DISK_CREATE,
          project,
          disk.ref(),
          Map.of("disk", disk.id().toString()));
    });
  }

  static void requireNameFree(Rows rows, UUID project, String name) {
    if (rows.disks().findByName(project, name).isPresent()) {
      throw Lookup.taken(ResourceKind.DISK, name);
    }
  }

  /** Writes the row of a disk that is yet to be cloned. */
  static Disk insertClone(
      Rows rows,
      UUID project,
      String name,
      DiskOrigin origin,
      Optional<Long> sizeBytes,
      Instant now) {
    Ref parent;
    long parentBytes;
    switch (origin) {
      case DiskOrigin.OfImage(String reference) -> {
        Image image = Lookup.image(rows, project, reference);
        Lookup.requireReady(image);
        parent = image.ref();
        parentBytes = image.sizeBytes();
      }
      case DiskOrigin.OfSnapshot(String reference) -> {
        Snapshot snapshot = Lookup.snapshot(rows, project, reference);
        Lookup.requireReady(snapshot);
        parent = snapshot.ref();
        parentBytes = snapshot.sizeBytes();
      }
    }
    long size = sizeBytes.orElse(parentBytes);
    checkSize(size, parentBytes, "the " + parent);
    Disk disk =
        new Disk(
            UUID.randomUUID(),
            project,
            "",
            name,
            Disk.State.CREATING,
            now,
            size,
            new Measure.Unknown(),
            Optional.of(parent),
            new Disk.Use.Idle(),
            Optional.empty(),
            1);
    rows.disks().insert(disk);
    return disk;
  }

  private static void checkSize(long sizeBytes, long atLeastBytes, String than) {
    if (sizeBytes % SECTOR_BYTES != 0 || sizeBytes < atLeastBytes) {
      throw ControlException.ofField(
          ErrorCode.SIZE_INVALID,
          "sizeBytes",
          Long.toString(sizeBytes),
          sizeBytes < atLeastBytes
              ? sizeBytes + " bytes are less than " + than + " has (" + atLeastBytes + ")."
              : sizeBytes + " bytes are no whole number of 512-byte sectors.",
          "Use a multiple of 512 that is at least " + atLeastBytes + ".");
    }
  }

  /**
   * Renames a disk.
   *
   * @throws ControlException NOT_FOUND, NAME_INVALID, NAME_TAKEN, REVISION_CHANGED
   */
  public Disk rename(UUID project, String reference, String name, Optional<Long> expectedRevision) {
    ResourceName.check("name", name);
    return measured(
        ports
            .database()
            .write(rows -> {
              Disk disk = Lookup.disk(rows, project, reference);
              Lookup.requireRevision(expectedRevision, disk.revision());
              if (!name.equals(disk.name())) {
                requireNameFree(rows, project, name);
              }
              rows.disks().update(disk.withName(name));
              return seenByOwner(rows, Lookup.disk(rows, project, disk.id().toString()));
            }));
  }

  /**
   * Grows a disk, in use or not.
   *
   * @throws ControlException NOT_FOUND, SIZE_INVALID, DISK_BUSY, DISK_NOT_READY, REVISION_CHANGED
   */
  public Operation resize(
      UUID project, String reference, long sizeBytes, Optional<Long> expectedRevision) {
    return engine.submit(rows -> {
      Disk disk = claimable(rows, project, reference);
      Lookup.requireRevision(expectedRevision, disk.revision());
      checkSize(sizeBytes, disk.sizeBytes(), "the " + disk.ref());
      return submission(
          OperationKind.DISK_RESIZE, disk, Map.of("sizeBytes", Long.toString(sizeBytes)));
    });
  }

  /**
   * Makes a disk independent of what it was cloned from, by copying.
   *
   * @throws ControlException NOT_FOUND, DISK_BUSY, DISK_NOT_READY
   */
  public Operation flatten(UUID project, String reference) {
    return engine.submit(rows ->
        submission(OperationKind.DISK_FLATTEN, claimable(rows, project, reference), Map.of()));
  }

  /**
   * Gives a disk the content of one of its snapshots again. A disk with a target is taken away from
   * whoever could log in meanwhile; one with a session is left alone.
   *
   * @throws ControlException NOT_FOUND, SNAPSHOT_OF_OTHER_DISK, DISK_IN_USE, DISK_BUSY
   */
  public Operation rollback(UUID project, String reference, String snapshotReference) {
    return engine.submit(rows -> {
      Disk disk = claimable(rows, project, reference);
      Snapshot snapshot = Lookup.snapshot(rows, project, snapshotReference);
      Lookup.requireReady(snapshot);
      Claims.requireFree(rows, snapshot.ref());
      if (!snapshot.disk().id().equals(disk.id())) {
        throw ControlException.ofField(
            ErrorCode.SNAPSHOT_OF_OTHER_DISK,
            "snapshot",
            snapshotReference,
            "The snapshot '"
                + snapshot.name()
                + "' is one of the disk '"
                + snapshot.disk().name()
                + "', not of '"
                + disk.name()
                + "'.",
            "Choose a snapshot of this disk, or clone that one:"
                + " m2 disk create NAME --snapshot "
                + snapshot.name());
      }
      int sessions = ports.targets().use(disk.id()).sessions();
      if (sessions > 0) {
        throw ControlException.of(
            ErrorCode.DISK_IN_USE,
            "The disk '" + disk.name() + "' has " + sessions + " open iSCSI session(s).",
            disk.node()
                .map(node -> "Power the node off first: m2 node power " + node.name() + " off")
                .orElse("Withdraw it first: m2 disk withdraw " + disk.name()));
      }
      boolean bound = rows.bindings().ofDisk(disk.id()).isPresent();
      if (bound) {
        TargetSteps.setState(rows, disk.id(), Binding.State.WITHDRAWING);
      }
      return submission(
          OperationKind.DISK_ROLLBACK,
          disk,
          Map.of("snapshot", snapshot.id().toString(), "bound", Boolean.toString(bound)));
    });
  }

  /**
   * Deletes a disk. With {@link Deletion#PURGE}, a disk in the trash is meant as well.
   *
   * @throws ControlException NOT_FOUND, DISK_ATTACHED, DISK_EXPOSED, DISK_BUSY
   */
  public Operation delete(UUID project, String reference, Deletion deletion) {
    return engine.submit(rows -> {
      Disk disk =
          deletion == Deletion.PURGE
              ? Lookup.anyDisk(rows, project, reference)
              : Lookup.disk(rows, project, reference);
      Claims.requireFree(rows, disk.ref());
      Lookup.requireIdle(disk);
      Optional<Instant> trashedAt = disk.trashedAt().or(() -> Optional.of(now()));
      rows.disks()
          .update(
              disk.withState(
                  deletion == Deletion.PURGE ? Disk.State.DELETING : Disk.State.TRASHED,
                  trashedAt));
      return submission(
          OperationKind.DISK_DELETE,
          disk,
          Map.of("purge", Boolean.toString(deletion == Deletion.PURGE)));
    });
  }

  /**
   * Brings a disk back from the trash.
   *
   * @param name a new name, for the case that the old one was taken meanwhile
   * @throws ControlException NOT_FOUND, NAME_INVALID, NAME_TAKEN, DISK_BUSY
   */
  public Disk undelete(UUID project, String reference, Optional<String> name) {
    name.ifPresent(n -> ResourceName.check("name", n));
    return measured(
        ports
            .database()
            .write(rows -> {
              Disk disk = Lookup.trashedDisk(rows, project, reference);
              Claims.requireFree(rows, disk.ref());
              String newName = name.orElse(disk.name());
              requireNameFree(rows, project, newName);
              rows.disks()
                  .update(disk.withName(newName).withState(Disk.State.READY, Optional.empty()));
              return seenByOwner(rows, Lookup.disk(rows, project, disk.id().toString()));
            }));
  }

  /**
   * Makes a target for a disk without a node; also for one that is exposed and whose target could
   * not be made when the server started. When the operation has succeeded, {@link #exposure} says
   * how to reach it.
   *
   * @param writeCache with {@link WriteCache#WRITE_BACK}, the secret changes after a crash of the
   *     host that may have taken acknowledged writes with it
   * @throws ControlException NOT_FOUND, DISK_ATTACHED, DISK_EXPOSED, DISK_BUSY, DISK_NOT_READY
   */
  public Operation expose(UUID project, String reference, WriteCache writeCache) {
    return engine.submit(rows -> {
      Disk disk = claimable(rows, project, reference);
      if (disk.use() instanceof Disk.Use.Exposed && !isServed(disk.id())) {
        TargetSteps.setState(rows, disk.id(), Binding.State.PREPARING);
      } else {
        Lookup.requireIdle(disk);
        rows.bindings()
            .insert(TargetSteps.newBinding(disk.id(), Optional.empty(), List.of(), writeCache));
      }
      return submission(OperationKind.DISK_EXPOSE, disk, Map.of());
    });
  }

  /**
   * How to reach an exposed or attached disk, with the secret: show it only to whom may use the
   * disk. Absent while there is no target.
   *
   * @throws ControlException NOT_FOUND
   */
  public Optional<Exposure> exposure(UUID project, String reference) {
    return ports
        .database()
        .read(rows -> {
          Disk disk = Lookup.disk(rows, project, reference);
          return rows.bindings()
              .ofDisk(disk.id())
              .filter(binding -> binding.state() == Binding.State.DEFINED && isServed(disk.id()))
              .map(_ -> TargetSteps.definition(rows, disk.id()))
              .map(d -> new Exposure(disk.id(), d.name(), 0, d.initiator(), d.chap()));
        });
  }

  /**
   * Takes the target of an exposed disk away and cuts its sessions.
   *
   * @throws ControlException NOT_FOUND, DISK_NOT_EXPOSED, DISK_ATTACHED, DISK_BUSY
   */
  public Operation withdraw(UUID project, String reference) {
    return engine.submit(rows -> {
      Disk disk = claimable(rows, project, reference);
      switch (disk.use()) {
        case Disk.Use.Exposed _ -> {}
        case Disk.Use.Attached _ -> Lookup.requireIdle(disk);
        case Disk.Use.Idle _ ->
            throw ControlException.of(
                ErrorCode.DISK_NOT_EXPOSED,
                "The disk '" + disk.name() + "' is not exposed.",
                "There is nothing to withdraw.");
      }
      TargetSteps.setState(rows, disk.id(), Binding.State.WITHDRAWING);
      return submission(OperationKind.DISK_WITHDRAW, disk, Map.of());
    });
  }

  private boolean isServed(UUID disk) {
    return ports.targets().defined().contains(disk);
  }

  private Instant now() {
    return ports.clock().instant();
  }

  /** A ready disk that no operation holds. */
  private static Disk claimable(Rows rows, UUID project, String reference) {
    Disk disk = Lookup.disk(rows, project, reference);
    Claims.requireFree(rows, disk.ref());
    Lookup.requireReady(disk);
    return disk;
  }

  private static Submission submission(
      OperationKind kind, Disk disk, Map<String, String> furtherInput) {
    Map<String, String> input = new HashMap<>(furtherInput);
    input.put("disk", disk.id().toString());
    return new Submission(UUID.randomUUID(), kind, disk.projectId(), disk.ref(), input);
  }

  /** Everything about a disk's operations is claimed by these two inputs. */
  static Set<UUID> claims(Operation operation) {
    return operation.input().containsKey("snapshot")
        ? Set.of(operation.inputId("disk"), operation.inputId("snapshot"))
        : Set.of(operation.inputId("disk"));
  }
}
