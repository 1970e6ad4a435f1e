package io.malleable.control;

import java.util.Locale;

/** Where an operation stands. */
public enum OperationState {
  /** Persisted; a worker will take it. */
  QUEUED,
  RUNNING,
  /** Nothing to do until a machine shows itself; holds no worker. */
  WAITING,
  /** Undoing what was done, because of a failure or because somebody asked. */
  ABORTING,
  SUCCEEDED,
  FAILED,
  ABORTED;

  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  public boolean isFinal() {
    return this == SUCCEEDED || this == FAILED || this == ABORTED;
  }
}
