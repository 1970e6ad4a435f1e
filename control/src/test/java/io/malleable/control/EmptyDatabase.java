package io.malleable.control;

import io.malleable.control.db.SqliteDatabase;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/**
 * A database with its schema and nothing in it, made once: migrating costs more than most tests.
 */
final class EmptyDatabase {
  private static final byte[] CONTENT = make();

  private EmptyDatabase() {}

  private static byte[] make() {
    try {
      Path directory = Files.createTempDirectory("m2-empty-database");
      Path file = directory.resolve("control.db");
      SqliteDatabase.open(file).close();
      byte[] content = Files.readAllBytes(file);
      // With SQLite's library, which is loaded by now.
      try (Stream<Path> left = Files.walk(directory)) {
        for (Path path : left.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
      return content;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void copyTo(Path file) throws IOException {
    Files.write(file, CONTENT);
  }
}
