package io.malleable.control;

/** What a node shall boot from: a name or an id. */
public sealed interface BootDrive {
  /** A new clone of the image, named after the node. */
  record OfImage(String image) implements BootDrive {}

  /** A new clone of the snapshot, named after the node. */
  record OfSnapshot(String snapshot) implements BootDrive {}

  /** This very disk. */
  record OfDisk(String disk) implements BootDrive {}
}
