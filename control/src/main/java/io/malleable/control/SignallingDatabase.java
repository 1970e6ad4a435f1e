package io.malleable.control;

import java.util.function.Function;

/** Raises a signal after each commit. */
final class SignallingDatabase implements Database {
  private final Database database;
  private final Signal signal;

  SignallingDatabase(Database database, Signal signal) {
    this.database = database;
    this.signal = signal;
  }

  @Override
  public <T> T read(Function<Rows, T> work) {
    return database.read(work);
  }

  @Override
  public <T> T write(Function<Rows, T> work) {
    T result = database.write(work);
    signal.raise();
    return result;
  }

  @Override
  public void close() {
    database.close();
  }
}
