package io.malleable.server;

import io.malleable.control.Ancestor;
import java.util.List;
import java.util.UUID;

/** An image or a snapshot that something builds on, on the wire. */
record AncestorBody(String kind, UUID id, String name, String project) {
  static List<AncestorBody> of(List<Ancestor> lineage) {
    return lineage.stream()
        .map(ancestor ->
            new AncestorBody(
                ancestor.ref().kind().word(),
                ancestor.ref().id(),
                ancestor.ref().name(),
                ancestor.project()))
        .toList();
  }
}
