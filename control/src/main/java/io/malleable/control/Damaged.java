package io.malleable.control;

/**
 * How many images, disks (those in the trash included) and snapshots there are over all projects
 * whose content cannot be used.
 */
public record Damaged(long images, long disks, long snapshots) {
  /** Whether there is nothing of the kind. */
  public boolean none() {
    return images + disks + snapshots == 0;
  }
}
