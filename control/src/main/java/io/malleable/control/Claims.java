package io.malleable.control;

import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** What unfinished operations hold. Used within the transaction that wants it. */
final class Claims {
  private Claims() {}

  /** The unfinished operation that holds the resource. */
  static Optional<Operation> holder(Rows rows, UUID resource) {
    return rows.operations().holder(resource).flatMap(id -> rows.operations().find(id));
  }

  /**
   * Checks that nothing holds the resource.
   *
   * @throws ControlException with the code for this kind of resource, naming the operation
   */
  static void requireFree(Rows rows, Ref resource) {
    holder(rows, resource.id())
        .ifPresent(operation -> {
          throw busy(resource, operation);
        });
  }

  static ControlException busy(Ref resource, Operation holder) {
    ErrorCode code =
        switch (resource.kind()) {
          case IMAGE -> ErrorCode.IMAGE_BUSY;
          case SNAPSHOT -> ErrorCode.SNAPSHOT_BUSY;
          case NODE -> ErrorCode.NODE_BUSY;
          case DISK, PROJECT, OPERATION, SERVER -> ErrorCode.DISK_BUSY;
        };
    return ControlException.of(
        code,
        "The "
            + resource
            + " is busy with the operation '"
            + holder.name()
            + "' ("
            + holder.state().word()
            + ").",
        "Wait for operation " + holder.id() + " or abort it: m2 operation abort " + holder.id());
  }

  /** An operation that let go of something while it waited takes it again. */
  static void takeBack(Rows rows, Operation operation, Set<UUID> resources) {
    for (UUID resource : resources) {
      Optional<Operation> holder = holder(rows, resource);
      if (holder.isEmpty()) {
        rows.operations().claim(operation.id(), resource);
      } else if (!holder.get().id().equals(operation.id())) {
        throw ControlException.of(
            ErrorCode.OPERATION_CANNOT_ABORT,
            "The operation '" + holder.get().name() + "' uses what would be undone.",
            "Repeat when operation " + holder.get().id() + " has finished.");
      }
    }
  }
}
