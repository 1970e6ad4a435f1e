package io.malleable.control;

/**
 * How many images, disks and snapshots there are over all projects that something is wrong with.
 */
public record VolumesByKind(long images, long disks, long snapshots) {
  static final VolumesByKind NONE = new VolumesByKind(0, 0, 0);

  /** Whether there is nothing of the kind. */
  public boolean none() {
    return images + disks + snapshots == 0;
  }
}
