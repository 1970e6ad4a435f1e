package io.malleable.control;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Where content comes from. */
public final class Lineage {
  /** Longer ones are cut; the store's chains are not longer in practice. */
  private static final int MAX_LENGTH = 256;

  private final Ports ports;

  Lineage(Ports ports) {
    this.ports = ports;
  }

  /**
   * What the image, disk or snapshot builds on, the nearest first. It ends before the first that
   * the project may not see: the names of others' resources are theirs.
   */
  public List<Ancestor> of(Resource resource, UUID project) {
    return ports.database().read(rows -> of(rows, parent(resource), project));
  }

  private static Optional<Ref> parent(Resource resource) {
    return switch (resource) {
      case Image image -> image.parent();
      case Disk disk -> disk.parent();
      case Snapshot snapshot -> snapshot.parent();
      case Project _, Node _, Operation _ -> Optional.empty();
    };
  }

  private static List<Ancestor> of(Rows rows, Optional<Ref> parent, UUID project) {
    List<Ancestor> found = new ArrayList<>();
    Optional<Ref> next = parent;
    while (next.isPresent() && found.size() < MAX_LENGTH) {
      Optional<? extends Resource> ancestor = find(rows, next.get(), project);
      ancestor.ifPresent(a -> found.add(new Ancestor(a.ref(), a.project())));
      next = ancestor.flatMap(Lineage::parent);
    }
    return found;
  }

  /** Those of these resources' parents that the project may see. */
  static Set<UUID> visibleParents(Rows rows, List<? extends Resource> resources, UUID project) {
    Set<UUID> parents = new HashSet<>();
    resources.forEach(resource -> parent(resource).ifPresent(ref -> parents.add(ref.id())));
    return rows.visible(project, parents);
  }

  private static Optional<? extends Resource> find(Rows rows, Ref parent, UUID project) {
    return parent.kind() == ResourceKind.IMAGE
        ? rows.images().findVisible(project, parent.id())
        : rows.snapshots()
            .find(parent.id())
            .filter(snapshot -> snapshot.projectId().equals(project));
  }
}
