package io.malleable.control.db;

import io.malleable.control.ControlException;
import io.malleable.control.Database;
import io.malleable.control.ErrorCode;
import io.malleable.control.Rows;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jdbi.v3.core.Jdbi;
import org.jdbi.v3.core.JdbiException;
import org.jdbi.v3.core.statement.SqlLogger;
import org.sqlite.NativeLibraryNotFoundException;
import org.sqlite.SQLiteConfig;
import org.sqlite.SQLiteDataSource;

/**
 * Rows in one SQLite file that only its owner may read, because it holds CHAP secrets. One
 * connection writes; a few read beside it (WAL). A commit is on the disk when it returns
 * (synchronous = FULL): a volume must never be more durable than the row that owns it.
 */
public final class SqliteDatabase implements Database {
  private static final System.Logger LOG = System.getLogger(SqliteDatabase.class.getName());

  /** A property of the driver's. */
  private static final String LIBRARY_DIRECTORY = "org.sqlite.tmpdir";

  private static final int READERS = 4;
  private static final int BUSY_TIMEOUT_MILLIS = 5_000;
  private static final int QUEUE_TIMEOUT_MILLIS = 10_000;

  private final List<Connection> connections;
  private final Jdbi writer;
  private final ReentrantLock writing = new ReentrantLock(true);
  private final BlockingQueue<Jdbi> readers;

  private SqliteDatabase(List<Connection> connections, SqlLogger statements) {
    this.connections = connections;
    List<Jdbi> each =
        connections.stream().map(one -> Jdbi.create(one).setSqlLogger(statements)).toList();
    this.writer = each.getFirst();
    this.readers = new ArrayBlockingQueue<>(connections.size());
    readers.addAll(each.subList(1, each.size()));
  }

  /**
   * Opens the file, creates it when it is not there, and brings its schema up to date.
   *
   * @throws ControlException DATABASE_TOO_NEW, DATABASE_BUSY, DATABASE_FAILED
   */
  public static SqliteDatabase open(Path file) {
    return open(file, SqlLogger.NOP_SQL_LOGGER);
  }

  /** The same; hears of each statement. */
  static SqliteDatabase open(Path file, SqlLogger statements) {
    List<Connection> opened = new ArrayList<>();
    try {
      createPrivately(file);
      unpackLibraryBeside(file);
      SQLiteDataSource source = dataSource(file);
      opened.add(source.getConnection());
      Schema.bringUpToDate(opened.getFirst(), source);
      for (int i = 0; i < READERS; i++) {
        opened.add(source.getConnection());
      }
      return new SqliteDatabase(opened, statements);
    } catch (IOException | SQLException e) {
      closeAll(opened);
      throw failure(e);
    } catch (RuntimeException e) {
      closeAll(opened);
      throw e;
    }
  }

  private static void createPrivately(Path file) throws IOException {
    var ownerOnly = PosixFilePermissions.fromString("rw-------");
    if (Files.notExists(file)) {
      Files.createFile(file, PosixFilePermissions.asFileAttribute(ownerOnly));
    } else {
      // The -wal and -shm files take the mode of this one.
      Files.setPosixFilePermissions(file, ownerOnly);
    }
  }

  /**
   * SQLite's library is a file before it can be loaded, and a process that is killed leaves it. So
   * it goes into a directory of this database, which the next start clears, unless the
   * administrator has chosen another place.
   */
  private static void unpackLibraryBeside(Path file) throws IOException {
    if (System.getProperty(LIBRARY_DIRECTORY) != null) {
      return;
    }
    Path directory = file.toAbsolutePath().resolveSibling("sqlite");
    Files.createDirectories(directory);
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory)) {
      for (Path each : left) {
        if (!Files.isDirectory(each)) {
          Files.delete(each);
        }
      }
    }
    System.setProperty(LIBRARY_DIRECTORY, directory.toString());
  }

  private static SQLiteDataSource dataSource(Path file) {
    SQLiteConfig config = new SQLiteConfig();
    config.setJournalMode(SQLiteConfig.JournalMode.WAL);
    config.setSynchronous(SQLiteConfig.SynchronousMode.FULL);
    config.enforceForeignKeys(true);
    config.setBusyTimeout(BUSY_TIMEOUT_MILLIS);
    SQLiteDataSource source = new SQLiteDataSource(config);
    source.setUrl("jdbc:sqlite:" + file.toAbsolutePath());
    return source;
  }

  @Override
  public <T> T read(Function<Rows, T> work) {
    Jdbi reader = borrowReader();
    try {
      return reader.inTransaction(handle -> work.apply(new SqlRows(handle)));
    } catch (JdbiException e) {
      throw failure(e);
    } finally {
      readers.add(reader);
    }
  }

  @Override
  public <T> T write(Function<Rows, T> work) {
    lockForWriting();
    try {
      return writer.inTransaction(handle -> work.apply(new SqlRows(handle)));
    } catch (JdbiException e) {
      throw failure(e);
    } finally {
      writing.unlock();
    }
  }

  private Jdbi borrowReader() {
    try {
      Jdbi reader = readers.poll(QUEUE_TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
      if (reader == null) {
        throw busy();
      }
      return reader;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw busy().causedBy(e);
    }
  }

  private void lockForWriting() {
    if (writing.isHeldByCurrentThread()) {
      throw new IllegalStateException("a transaction within a transaction");
    }
    try {
      if (!writing.tryLock(QUEUE_TIMEOUT_MILLIS, TimeUnit.MILLISECONDS)) {
        throw busy();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw busy().causedBy(e);
    }
  }

  private static ControlException busy() {
    return ControlException.of(
        ErrorCode.DATABASE_BUSY,
        "The database did not get to this request within " + QUEUE_TIMEOUT_MILLIS / 1000 + " s.",
        "Repeat the request; if it persists, look at the load of the data directory's disk.");
  }

  private static ControlException failure(Exception e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof ControlException known) {
        return known;
      }
      if (cause instanceof NativeLibraryNotFoundException) {
        return ControlException.of(
                ErrorCode.DATABASE_FAILED,
                "SQLite's library cannot be loaded from "
                    + System.getProperty(LIBRARY_DIRECTORY)
                    + ": "
                    + cause.getMessage(),
                "If that is mounted noexec, name a directory that is not: M2_JAVA_OPTS=-D"
                    + LIBRARY_DIRECTORY
                    + "=DIR m2 serve")
            .causedBy(e);
      }
    }
    return ControlException.of(
            ErrorCode.DATABASE_FAILED,
            "The database failed: " + rootMessage(e),
            "Check space and permissions of the data directory and the server's log.")
        .causedBy(e);
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return String.valueOf(root.getMessage());
  }

  private static void closeAll(List<Connection> connections) {
    for (Connection connection : connections) {
      try {
        connection.close();
      } catch (SQLException e) {
        LOG.log(System.Logger.Level.WARNING, "closing the database: " + e.getMessage(), e);
      }
    }
  }

  /** Waits for the writer; readers that are still at work fail. */
  @Override
  public void close() {
    writing.lock();
    try {
      closeAll(connections);
    } finally {
      writing.unlock();
    }
  }
}
