package io.malleable.control;

import java.util.UUID;

/** Points to a resource; the name is the one it had when this was read. */
public record Ref(ResourceKind kind, UUID id, String name) {
  @Override
  public String toString() {
    return kind.word() + " '" + name + "'";
  }
}
