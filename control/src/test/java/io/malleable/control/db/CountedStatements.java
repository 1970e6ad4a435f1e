package io.malleable.control.db;

import io.malleable.control.Database;
import java.nio.file.Path;
import org.jdbi.v3.core.statement.SqlLogger;
import org.jdbi.v3.core.statement.StatementContext;

/** A database that says how many statements it has executed. */
public final class CountedStatements {
  private CountedStatements() {}

  /** Opens it; {@code onStatement} is called after each, by whoever executed it. */
  public static Database open(Path file, Runnable onStatement) {
    return SqliteDatabase.open(
        file,
        new SqlLogger() {
          @Override
          public void logAfterExecution(StatementContext context) {
            onStatement.run();
          }
        });
  }
}
