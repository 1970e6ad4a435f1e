package io.malleable.control;

import java.util.Locale;

/** What an operation does. */
public enum OperationKind {
  IMAGE_IMPORT,
  IMAGE_COPY,
  IMAGE_COPY_FULL,
  IMAGE_DELETE,
  IMAGE_DELETE_CASCADE,
  DISK_CREATE,
  DISK_DELETE,
  DISK_ROLLBACK,
  DISK_RESIZE,
  DISK_FLATTEN,
  DISK_EXPOSE,
  DISK_WITHDRAW,
  SNAPSHOT_CREATE,
  SNAPSHOT_DELETE,
  SNAPSHOT_PROMOTE,
  NODE_PROVISION,
  NODE_RELEASE,
  NODE_FAILOVER,
  NODE_POWER;

  /** The word on the wire, such as {@code node-provision}. */
  public String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
