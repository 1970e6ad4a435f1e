package io.malleable.control;

/** What a new disk is cloned from: a name or an id. */
public sealed interface DiskOrigin {
  /** An own or a public image. */
  record OfImage(String image) implements DiskOrigin {}

  /** A snapshot of the same project. */
  record OfSnapshot(String snapshot) implements DiskOrigin {}
}
