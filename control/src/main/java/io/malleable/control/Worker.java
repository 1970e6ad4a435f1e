package io.malleable.control;

/** The thread that works on an operation, as its steps see it. Fields are read by other threads. */
final class Worker implements Run {
  private final Database database;
  private volatile Operation operation;
  private volatile int index;
  private volatile double part;
  private volatile boolean cancelled;

  Worker(Database database, Operation operation) {
    this.database = database;
    this.operation = operation;
  }

  void enter(Operation now, int newIndex) {
    operation = now;
    index = newIndex;
    part = 0;
  }

  void cancel() {
    cancelled = true;
  }

  /** Progress of the whole operation, 0 to 1. */
  double overall() {
    return (index + part) / Math.max(1, operation.steps().size());
  }

  @Override
  public Operation operation() {
    return operation;
  }

  @Override
  public Database database() {
    return database;
  }

  @Override
  public void progress(double done) {
    part = Math.clamp(done, 0, 1);
  }

  @Override
  public boolean isCancelled() {
    // Undoing is never cancelled: there is nothing to go back to.
    return cancelled && operation.state() != OperationState.ABORTING;
  }
}
