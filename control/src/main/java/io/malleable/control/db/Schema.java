package io.malleable.control.db;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;

/** Applies the migrations, and starts Flyway only when there is one to apply. */
final class Schema {
  /** The newest migration in {@code resources/.../migration}. */
  static final int VERSION = 6;

  private static final String LOCATION = "classpath:io/malleable/control/db/migration";

  private Schema() {}

  static void bringUpToDate(Connection connection, DataSource source) throws SQLException {
    int found = version(connection);
    if (found > VERSION) {
      throw ControlException.of(
          ErrorCode.DATABASE_TOO_NEW,
          "The database has schema version " + found + "; this server knows up to " + VERSION + ".",
          "Start the newer server that wrote it, or restore a backup.");
    }
    if (found < VERSION) {
      try {
        Flyway.configure().dataSource(source).locations(LOCATION).load().migrate();
      } catch (FlywayException e) {
        throw ControlException.of(
                ErrorCode.DATABASE_FAILED,
                "The database's schema could not be brought to version " + VERSION + ".",
                "Check space and permissions of the data directory and the server's log.")
            .causedBy(e);
      }
    }
  }

  /** Reads Flyway's own table, which costs a fraction of starting Flyway. */
  private static int version(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      try (ResultSet tables =
          statement.executeQuery(
              "SELECT count(*) FROM sqlite_master WHERE name = 'flyway_schema_history'")) {
        if (!tables.next() || tables.getInt(1) == 0) {
          return 0;
        }
      }
      try (ResultSet versions =
          statement.executeQuery(
              "SELECT max(CAST(version AS INTEGER)) FROM flyway_schema_history WHERE success = 1")) {
        return versions.next() ? versions.getInt(1) : 0;
      }
    }
  }
}
