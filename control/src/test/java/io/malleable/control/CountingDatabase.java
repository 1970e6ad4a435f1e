package io.malleable.control;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** Counts the transactions that write. */
final class CountingDatabase implements Database {
  final AtomicInteger writes = new AtomicInteger();
  private final Database database;

  CountingDatabase(Database database) {
    this.database = database;
  }

  @Override
  public <T> T read(Function<Rows, T> work) {
    return database.read(work);
  }

  @Override
  public <T> T write(Function<Rows, T> work) {
    writes.incrementAndGet();
    return database.write(work);
  }

  @Override
  public void close() {
    database.close();
  }
}
