package io.malleable.control;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Deletes an image with everything that lives on it. */
final class ImageCascade {
  /**
   * All of it is claimed in one transaction, for which other writers wait, and named in one row.
   */
  private static final int MAX_VOLUMES = 1_000;

  private static final int NAMED = 20;

  private final Ports ports;
  private final Engine engine;
  private final ImageReaders readers;

  ImageCascade(Ports ports, Engine engine, ImageReaders readers) {
    this.ports = ports;
    this.engine = engine;
    this.readers = readers;
    engine.register(OperationKind.IMAGE_DELETE_CASCADE, new Cascade());
  }

  Operation delete(UUID project, String reference) {
    return engine.submit(rows -> {
      Image image = Lookup.ownImage(rows, project, reference);
      Claims.requireFree(rows, image.ref());
      List<Rows.Dependant> doomed = Dependants.tree(rows, image.id(), MAX_VOLUMES);
      requireFew(image, doomed);
      requireOwn(image, doomed);
      requireUnused(rows, image, doomed);
      readers.requireNone(image.ref());
      doomed.forEach(dependant -> {
        Claims.requireFree(rows, dependant.ref());
        readers.requireNone(dependant.ref());
      });
      List<String> ids = new ArrayList<>();
      doomed.forEach(dependant -> ids.add(dependant.ref().id().toString()));
      ids.add(image.id().toString());
      ids.forEach(id -> setState(rows, UUID.fromString(id), Change.DELETING));
      return new Submission(
          UUID.randomUUID(),
          OperationKind.IMAGE_DELETE_CASCADE,
          project,
          image.ref(),
          Map.of("image", image.id().toString(), "volumes", String.join(" ", ids)));
    });
  }

  private static void requireFew(Image image, List<Rows.Dependant> doomed) {
    if (doomed.size() > MAX_VOLUMES) {
      throw ControlException.of(
          ErrorCode.LIMIT_EXCEEDED,
          "More than " + MAX_VOLUMES + " volumes depend on the image '" + image.name() + "'.",
          "Delete some of its disks, snapshots and images first.");
    }
  }

  private static void requireOwn(Image image, List<Rows.Dependant> doomed) {
    List<Rows.Dependant> others =
        doomed.stream().filter(d -> !d.projectId().equals(image.projectId())).toList();
    if (!others.isEmpty()) {
      throw ControlException.of(
          ErrorCode.IMAGE_HAS_CLONES,
          "On the image '"
              + image.name()
              + "' live "
              + Dependants.text(others, image.projectId())
              + ". Nothing was deleted.",
          "Only their owners can delete or flatten them; unsharing the image keeps more from coming.");
    }
  }

  private static void requireUnused(Rows rows, Image image, List<Rows.Dependant> doomed) {
    List<String> attached = new ArrayList<>();
    List<String> exposed = new ArrayList<>();
    Optional<String> node = Optional.empty();
    for (Rows.Dependant dependant : doomed) {
      Optional<Disk> disk = rows.disks().find(dependant.ref().id());
      switch (disk.map(Disk::use).orElseGet(Disk.Use.Idle::new)) {
        case Disk.Use.Idle _ -> {}
        case Disk.Use.Exposed _ -> exposed.add("'" + dependant.ref().name() + "'");
        case Disk.Use.Attached(Ref to) -> {
          attached.add("'" + dependant.ref().name() + "' to the " + to);
          node = Optional.of(to.name());
        }
      }
    }
    if (!attached.isEmpty()) {
      throw ControlException.of(
          ErrorCode.DISK_ATTACHED,
          "Disks that depend on the image '"
              + image.name()
              + "' are attached: "
              + some(attached)
              + ". Nothing was deleted.",
          "Release their nodes first: m2 node release " + node.orElse("NODE"));
    }
    if (!exposed.isEmpty()) {
      throw ControlException.of(
          ErrorCode.DISK_EXPOSED,
          "Disks that depend on the image '"
              + image.name()
              + "' are exposed: "
              + some(exposed)
              + ". Nothing was deleted.",
          "Withdraw them first: m2 disk withdraw DISK");
    }
  }

  private static String some(List<String> names) {
    return names.size() <= NAMED
        ? String.join(", ", names)
        : String.join(", ", names.subList(0, NAMED)) + " and " + (names.size() - NAMED) + " more";
  }

  private enum Change {
    DELETING,
    /** As it was before. */
    KEPT
  }

  /** A volume has the id of its image, disk or snapshot; a row that is gone stays so. */
  private static void setState(Rows rows, UUID id, Change change) {
    boolean kept = change == Change.KEPT;
    rows.disks()
        .find(id)
        .ifPresent(disk -> {
          Disk.State before = disk.trashedAt().isPresent() ? Disk.State.TRASHED : Disk.State.READY;
          rows.disks()
              .update(disk.withState(kept ? before : Disk.State.DELETING, disk.trashedAt()));
        });
    rows.snapshots()
        .find(id)
        .ifPresent(snapshot ->
            rows.snapshots()
                .update(snapshot.withState(kept ? Snapshot.State.READY : Snapshot.State.DELETING)));
    rows.images()
        .find(id)
        .ifPresent(image ->
            rows.images().update(image.withState(kept ? Image.State.READY : Image.State.DELETING)));
  }

  /** What was deleted before a failure or an abort stays so; the rest is as before. */
  private final class Cascade implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      return List.of(
          Step.Action.of(
              "delete",
              run -> {
                List<UUID> volumes = volumes(operation);
                for (int i = 0; i < volumes.size(); i++) {
                  if (run.isCancelled()) {
                    throw ControlException.of(ErrorCode.ABORTED, "Aborted on request.");
                  }
                  delete(run, volumes.get(i));
                  run.progress((i + 1.0) / volumes.size());
                }
                return Step.Outcome.done(volumes.size() + " volumes", _ -> {});
              }));
    }

    /** The row goes after its volume: a crash between both repeats the one and does the other. */
    private void delete(Run run, UUID id) throws IOException {
      ports.volumes().delete(id);
      run.database()
          .change(rows -> {
            rows.disks().delete(id);
            rows.snapshots().delete(id);
            rows.images().delete(id);
          });
    }

    private static List<UUID> volumes(Operation operation) {
      return Arrays.stream(operation.input().getOrDefault("volumes", "").split(" "))
          .map(UUID::fromString)
          .toList();
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return new HashSet<>(volumes(operation));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      volumes(operation).forEach(id -> setState(rows, id, Change.KEPT));
    }
  }
}
