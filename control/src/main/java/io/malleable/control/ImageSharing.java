package io.malleable.control;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Who may use an image and whose it is. Used within a transaction. */
final class ImageSharing {
  private static final int MAX_SHARES = 1_000;

  private final Ports ports;

  ImageSharing(Ports ports) {
    this.ports = ports;
  }

  Image share(Rows rows, UUID project, String reference, String with) {
    Image image = Lookup.ownImage(rows, project, reference);
    Project other = otherThanOwner(rows, image, "project", with);
    List<String> before = sharedWith(rows, image);
    if (before.contains(other.name())) {
      return image;
    }
    if (before.size() >= MAX_SHARES) {
      throw ControlException.of(
          ErrorCode.LIMIT_EXCEEDED,
          "The image '" + image.name() + "' is shared with " + before.size() + " projects.",
          "Make it public: m2 image share " + image.name() + " --public");
    }
    rows.images().share(image.id(), other.id());
    return changed(rows, image, "image.shared", "is shared with the project", other);
  }

  Image unshare(Rows rows, UUID project, String reference, String with) {
    Image image = Lookup.ownImage(rows, project, reference);
    Project other = Projects.require(rows, with);
    if (!sharedWith(rows, image).contains(other.name())) {
      return image;
    }
    rows.images().unshare(image.id(), other.id());
    return changed(rows, image, "image.unshared", "is no longer shared with the project", other);
  }

  Image move(Rows rows, Image image, String to, Optional<String> name) {
    Claims.requireFree(rows, image.ref());
    Lookup.requireReady(image);
    Project other = otherThanOwner(rows, image, "project", to);
    String newName = name.orElse(image.name());
    Images.requireNameFree(rows, other.id(), newName);
    requireNoLoss(rows, image);
    rows.images().unshare(image.id(), other.id());
    rows.images().update(image.ownedBy(other.id(), newName));
    Image moved = Lookup.ownImage(rows, other.id(), image.id().toString());
    String text =
        "The image '"
            + image.name()
            + "' of the project '"
            + image.project()
            + "' is now the image '"
            + newName
            + "' of the project '"
            + other.name()
            + "'.";
    for (UUID told : List.of(image.projectId(), other.id())) {
      append(rows, told, "image.moved", moved, text);
    }
    return moved;
  }

  /** The old owner's own clones would go on working, but it could make no more of them. */
  private static void requireNoLoss(Rows rows, Image image) {
    if (image.visibility() == Image.Visibility.PUBLIC) {
      return;
    }
    List<Rows.Dependant> own = rows.dependants(image.id(), image.projectId(), Dependants.NAMED + 1);
    if (!own.isEmpty()) {
      throw ControlException.of(
          ErrorCode.IMAGE_HAS_CLONES,
          "The project '"
              + image.project()
              + "' would lose the image '"
              + image.name()
              + "' on which these depend: "
              + Dependants.text(own, image.projectId())
              + ".",
          "Give the other project a copy instead: m2 image copy "
              + image.name()
              + " --to PROJECT; or make it public first.");
    }
  }

  private static Project otherThanOwner(Rows rows, Image image, String field, String reference) {
    Project other = Projects.require(rows, reference);
    if (other.id().equals(image.projectId())) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          field,
          reference,
          "The image '" + image.name() + "' belongs to the project '" + other.name() + "' already.",
          "Name another project; see: m2 project list");
    }
    return other;
  }

  private Image changed(Rows rows, Image image, String kind, String does, Project other) {
    // Only the revision changes: whoever read who may use it reads it again before a change.
    rows.images().update(image);
    String text =
        "The image '"
            + image.name()
            + "' of the project '"
            + image.project()
            + "' "
            + does
            + " '"
            + other.name()
            + "'.";
    for (UUID told : List.of(image.projectId(), other.id())) {
      append(rows, told, kind, image, text);
    }
    return Lookup.ownImage(rows, image.projectId(), image.id().toString());
  }

  private void append(Rows rows, UUID project, String kind, Image image, String text) {
    // The sequence number is the reader's business.
    long _ =
        rows.events()
            .append(
                ports.clock().instant(),
                Optional.of(project),
                kind,
                Optional.of(image.ref()),
                text);
  }

  private static List<String> sharedWith(Rows rows, Image image) {
    return rows.images().sharedWith(Set.of(image.id())).getOrDefault(image.id(), List.of());
  }
}
