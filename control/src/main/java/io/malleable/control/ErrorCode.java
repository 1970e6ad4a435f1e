package io.malleable.control;

/**
 * Stable codes of what can go wrong; scripts rely on the names, the REST room maps the class to a
 * status.
 */
public enum ErrorCode {
  NAME_INVALID(Kind.USER),
  NAME_TAKEN(Kind.CONFLICT),
  NAME_AMBIGUOUS(Kind.CONFLICT),
  NOT_FOUND(Kind.NOT_FOUND),
  FIELD_INVALID(Kind.USER),
  SIZE_INVALID(Kind.USER),
  MAC_INVALID(Kind.USER),
  MAC_TAKEN(Kind.CONFLICT),
  ADDRESS_TAKEN(Kind.CONFLICT),
  BMC_INVALID(Kind.USER),
  CURSOR_INVALID(Kind.USER),
  LIMIT_EXCEEDED(Kind.CONFLICT),
  REVISION_CHANGED(Kind.PRECONDITION),
  IDEMPOTENCY_KEY_REUSED(Kind.CONFLICT),
  PROJECT_NOT_EMPTY(Kind.CONFLICT),
  PROJECT_BUILT_IN(Kind.CONFLICT),
  IMAGE_BUSY(Kind.CONFLICT),
  IMAGE_NOT_READY(Kind.CONFLICT),
  IMAGE_HAS_CLONES(Kind.CONFLICT),
  IMAGE_NOT_OWNED(Kind.CONFLICT),
  IMAGE_INVALID(Kind.USER),
  CHECKSUM_WRONG(Kind.USER),
  IMAGE_SOURCE_MISSING(Kind.USER),
  IMAGE_SOURCE_UNSUPPORTED(Kind.USER),
  DISK_BUSY(Kind.CONFLICT),
  DISK_NOT_READY(Kind.CONFLICT),
  DISK_ATTACHED(Kind.CONFLICT),
  DISK_EXPOSED(Kind.CONFLICT),
  DISK_NOT_EXPOSED(Kind.CONFLICT),
  DISK_IN_USE(Kind.CONFLICT),
  SNAPSHOT_BUSY(Kind.CONFLICT),
  SNAPSHOT_NOT_READY(Kind.CONFLICT),
  SNAPSHOT_HAS_CLONES(Kind.CONFLICT),
  SNAPSHOT_OF_OTHER_DISK(Kind.USER),
  NODE_BUSY(Kind.CONFLICT),
  NODE_PROVISIONED(Kind.CONFLICT),
  NODE_NOT_PROVISIONED(Kind.CONFLICT),
  NODE_HAS_NO_POWER_DRIVER(Kind.CONFLICT),
  OPERATION_FINISHED(Kind.CONFLICT),
  OPERATION_CANNOT_ABORT(Kind.CONFLICT),
  ABORTED(Kind.CONFLICT),
  SUPERSEDED(Kind.CONFLICT),
  TOO_MANY_OPERATIONS(Kind.RESOURCE),
  OUT_OF_SPACE(Kind.RESOURCE),
  STORE_UNAVAILABLE(Kind.RESOURCE),
  STORE_CORRUPT(Kind.RESOURCE),
  DATABASE_BUSY(Kind.RESOURCE),
  DATABASE_FAILED(Kind.RESOURCE),
  DATABASE_TOO_NEW(Kind.RESOURCE),
  IO_FAILED(Kind.RESOURCE),
  POWER_FAILED(Kind.RESOURCE),
  BOOT_STALLED(Kind.RESOURCE),
  INTERNAL(Kind.INTERNAL);

  /** Whose turn it is. */
  public enum Kind {
    /** The request is wrong; repeating it unchanged never helps. */
    USER,
    /** The thing asked for does not exist, or not for this project. */
    NOT_FOUND,
    /** The request is right but something else is in the way now. */
    CONFLICT,
    /** The caller acted on a state that somebody changed since. */
    PRECONDITION,
    /** Something of ours below failed or is full. */
    RESOURCE,
    /** A defect of ours. */
    INTERNAL
  }

  private final Kind kind;

  ErrorCode(Kind kind) {
    this.kind = kind;
  }

  public Kind kind() {
    return kind;
  }
}
