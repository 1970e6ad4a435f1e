package io.malleable.control;

import java.util.Optional;
import java.util.UUID;

/** Which operations; an absent part does not filter. */
public record OperationFilter(
    Optional<OperationKind> kind, Optional<OperationState> state, Optional<UUID> subject) {
  public static OperationFilter all() {
    return new OperationFilter(Optional.empty(), Optional.empty(), Optional.empty());
  }
}
