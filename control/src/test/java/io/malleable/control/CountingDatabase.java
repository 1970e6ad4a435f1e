package io.malleable.control;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** Counts the transactions that write, and refuses them when a test says so. */
final class CountingDatabase implements Database {
  final AtomicInteger writes = new AtomicInteger();
  volatile boolean refuses;
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
    if (refuses) {
      throw ControlException.of(ErrorCode.DATABASE_BUSY, "Not now.", "Repeat.");
    }
    writes.incrementAndGet();
    return database.write(work);
  }

  @Override
  public void close() {
    database.close();
  }
}
