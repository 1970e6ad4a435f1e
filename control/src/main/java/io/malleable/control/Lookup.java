package io.malleable.control;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Predicate;

/** Finds resources of a project by name or id. */
final class Lookup {
  /** More projects than this do not share images of one name with the same project. */
  private static final int MAX_NAMESAKES = 1_000;

  private Lookup() {}

  /**
   * An image that the project may use, by its id, its name, or {@code PROJECT/NAME}. A project's
   * own image goes before others' of that name; several of others are not chosen between.
   */
  static Image image(Rows rows, UUID project, String reference) {
    if (ResourceName.looksLikeId(reference)) {
      return rows.images()
          .findVisible(project, UUID.fromString(reference))
          .orElseThrow(() -> notFound(ResourceKind.IMAGE, reference));
    }
    int slash = reference.indexOf('/');
    List<Image> found =
        rows.images().visible(project, reference.substring(slash + 1), MAX_NAMESAKES).stream()
            .filter(image -> slash < 0 || image.project().equals(reference.substring(0, slash)))
            .toList();
    if (found.isEmpty()) {
      throw notFound(ResourceKind.IMAGE, reference);
    }
    Image first = found.getFirst();
    if (found.size() > 1 && !first.projectId().equals(project)) {
      List<String> names = found.stream().map(i -> i.project() + "/" + i.name()).toList();
      throw ControlException.ofField(
          ErrorCode.NAME_AMBIGUOUS,
          "image",
          reference,
          "Several projects share an image '" + reference + "': " + String.join(", ", names) + ".",
          "Say whose, for example: " + names.getFirst());
    }
    return first;
  }

  /** An image that the project may change. */
  static Image ownImage(Rows rows, UUID project, String reference) {
    Image image = image(rows, project, reference);
    if (!image.projectId().equals(project)) {
      throw ControlException.of(
          ErrorCode.IMAGE_NOT_OWNED,
          "The image '" + image.name() + "' belongs to the project '" + image.project() + "'.",
          "Ask its owner; only the owner can change an image.");
    }
    return image;
  }

  /** A disk that is not in the trash. */
  static Disk disk(Rows rows, UUID project, String reference) {
    return find(rows.disks(), project, reference, d -> d.projectId().equals(project))
        .filter(d -> d.state() != Disk.State.TRASHED)
        .orElseThrow(() -> notFound(ResourceKind.DISK, reference));
  }

  static Disk trashedDisk(Rows rows, UUID project, String reference) {
    Optional<Disk> disk =
        ResourceName.looksLikeId(reference)
            ? rows.disks()
                .find(UUID.fromString(reference))
                .filter(d -> d.projectId().equals(project) && d.state() == Disk.State.TRASHED)
            : rows.disks().findTrashed(project, reference);
    return disk.orElseThrow(() ->
        ControlException.of(
            ErrorCode.NOT_FOUND,
            "There is no disk '" + reference + "' in the trash.",
            "List the trash: m2 disk list --deleted"));
  }

  /** A disk, in the trash or not. */
  static Disk anyDisk(Rows rows, UUID project, String reference) {
    Optional<Disk> disk =
        find(rows.disks(), project, reference, d -> d.projectId().equals(project));
    return disk.or(() -> rows.disks().findTrashed(project, reference))
        .orElseThrow(() -> notFound(ResourceKind.DISK, reference));
  }

  static Snapshot snapshot(Rows rows, UUID project, String reference) {
    return find(rows.snapshots(), project, reference, s -> s.projectId().equals(project))
        .orElseThrow(() -> notFound(ResourceKind.SNAPSHOT, reference));
  }

  static Node node(Rows rows, UUID project, String reference) {
    return find(rows.nodes(), project, reference, n -> n.projectId().equals(project))
        .orElseThrow(() -> notFound(ResourceKind.NODE, reference));
  }

  private static <T> Optional<T> find(
      Rows.Table<T> table, UUID project, String reference, Predicate<T> owned) {
    return ResourceName.looksLikeId(reference)
        ? table.find(UUID.fromString(reference)).filter(owned)
        : table.findByName(project, reference);
  }

  static ControlException notFound(ResourceKind kind, String reference) {
    return ControlException.ofField(
        ErrorCode.NOT_FOUND,
        kind.word(),
        reference,
        "There is no " + kind.word() + " '" + reference + "'.",
        "List what there is: m2 " + kind.word() + " list");
  }

  static ControlException taken(ResourceKind kind, String name) {
    return ControlException.ofField(
        ErrorCode.NAME_TAKEN,
        "name",
        name,
        "There is " + article(kind) + kind.word() + " '" + name + "' already.",
        "Choose another name, or delete or rename that one first.");
  }

  private static String article(ResourceKind kind) {
    return kind == ResourceKind.IMAGE || kind == ResourceKind.OPERATION ? "an " : "a ";
  }

  static void requireRevision(Optional<Long> expected, long actual) {
    if (expected.isPresent() && expected.get() != actual) {
      throw ControlException.of(
          ErrorCode.REVISION_CHANGED,
          "It was changed since you read it (revision " + expected.get() + ", now " + actual + ").",
          "Read it again and decide anew.");
    }
  }

  static void requireReady(Image image) {
    if (image.state() != Image.State.READY) {
      throw ControlException.of(
          ErrorCode.IMAGE_NOT_READY,
          "The image '" + image.name() + "' is " + image.stateWord() + ".",
          "Wait until it is ready: m2 image show " + image.name());
    }
  }

  static void requireReady(Disk disk) {
    if (disk.state() != Disk.State.READY) {
      throw ControlException.of(
          ErrorCode.DISK_NOT_READY,
          "The disk '" + disk.name() + "' is " + disk.stateWord() + ".",
          "Wait until it is ready: m2 disk show " + disk.name());
    }
  }

  static void requireReady(Snapshot snapshot) {
    if (snapshot.state() != Snapshot.State.READY) {
      throw ControlException.of(
          ErrorCode.SNAPSHOT_NOT_READY,
          "The snapshot '" + snapshot.name() + "' is " + snapshot.stateWord() + ".",
          "Wait until it is ready: m2 snapshot show " + snapshot.name());
    }
  }

  /** The disk has no target, so nobody writes to it. */
  static void requireIdle(Disk disk) {
    switch (disk.use()) {
      case Disk.Use.Idle _ -> {}
      case Disk.Use.Attached attached ->
          throw ControlException.of(
              ErrorCode.DISK_ATTACHED,
              "The disk '"
                  + disk.name()
                  + "' is attached to the node '"
                  + attached.node().name()
                  + "'.",
              "Release the node first: m2 node release " + attached.node().name());
      case Disk.Use.Exposed _ ->
          throw ControlException.of(
              ErrorCode.DISK_EXPOSED,
              "The disk '" + disk.name() + "' is exposed.",
              "Withdraw it first: m2 disk withdraw " + disk.name());
    }
  }
}
