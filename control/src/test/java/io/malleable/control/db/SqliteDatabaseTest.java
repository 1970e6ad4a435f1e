package io.malleable.control.db;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.control.AfterHostCrash;
import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.control.Project;
import io.malleable.control.WriteCache;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.DriverManager;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SqliteDatabaseTest {
  @TempDir Path directory;

  private Path file() {
    return directory.resolve("control.db");
  }

  @Test
  void onlyItsOwnerMayReadIt() throws Exception {
    try (SqliteDatabase database = SqliteDatabase.open(file())) {
      database.change(rows ->
          rows.projects().insert(new Project(UUID.randomUUID(), "p", Instant.ofEpochMilli(5))));
      try (Stream<Path> files = Files.list(directory)) {
        for (Path each : files.toList()) {
          assertEquals(
              "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(each)));
        }
      }
    }
  }

  @Test
  void whatThrowsIsRolledBack() {
    try (SqliteDatabase database = SqliteDatabase.open(file())) {
      Project project = new Project(UUID.randomUUID(), "p", Instant.ofEpochMilli(5));
      assertThrows(
          IllegalArgumentException.class,
          () ->
              database.change(rows -> {
                rows.projects().insert(project);
                throw new IllegalArgumentException("no");
              }));
      assertEquals(Optional.empty(), database.read(rows -> rows.projects().find(project.id())));
      database.change(rows -> rows.projects().insert(project));
      assertEquals(Optional.of(project), database.read(rows -> rows.projects().find(project.id())));
    }
  }

  @Test
  void aBrokenRuleOfTheSchemaIsAnErrorOfOurs() {
    try (SqliteDatabase database = SqliteDatabase.open(file())) {
      Project project = new Project(UUID.randomUUID(), "p", Instant.ofEpochMilli(5));
      database.change(rows -> rows.projects().insert(project));
      ControlException e =
          assertThrows(
              ControlException.class,
              () -> database.change(rows -> rows.projects().insert(project)));
      assertEquals(ErrorCode.DATABASE_FAILED, e.code());
    }
  }

  @Test
  void aNewerSchemaIsRefused() throws Exception {
    SqliteDatabase.open(file()).close();
    try (var connection = DriverManager.getConnection("jdbc:sqlite:" + file());
        var statement = connection.createStatement()) {
      statement.executeUpdate("UPDATE flyway_schema_history SET version = '99'");
    }
    ControlException e =
        assertThrows(ControlException.class, () -> SqliteDatabase.open(file()).close());
    assertEquals(ErrorCode.DATABASE_TOO_NEW, e.code());
    assertTrue(e.message().contains("99"));
  }

  @Test
  void exposedDisksOfAnOlderSchemaHaveNoWriteCacheAndNodesReboot() throws Exception {
    String project = UUID.randomUUID().toString();
    String node = UUID.randomUUID().toString();
    UUID attached = UUID.randomUUID();
    UUID exposed = UUID.randomUUID();
    Flyway.configure()
        .dataSource("jdbc:sqlite:" + file(), null, null)
        .locations("classpath:io/malleable/control/db/migration")
        .target("5")
        .load()
        .migrate();
    try (var connection = DriverManager.getConnection("jdbc:sqlite:" + file());
        var statement = connection.createStatement()) {
      statement.executeUpdate("INSERT INTO project VALUES ('" + project + "', 'p', 0)");
      statement.executeUpdate(
          "INSERT INTO node (id, project_id, name, created_at, firmware, arch, power, revision)"
              + " VALUES ('"
              + node
              + "', '"
              + project
              + "', 'n', 0, 'BIOS', 'x86_64', 'ON', 1)");
      for (UUID disk : List.of(attached, exposed)) {
        statement.executeUpdate(
            "INSERT INTO disk (id, project_id, name, state, created_at, size_bytes, revision)"
                + " VALUES ('"
                + disk
                + "', '"
                + project
                + "', '"
                + disk
                + "', 'READY', 0, 512, 1)");
        String bound = disk.equals(attached) ? "'" + node + "'" : "NULL";
        statement.executeUpdate(
            "INSERT INTO binding (disk_id, node_id, state, chap_user, chap_secret, phone_home)"
                + " VALUES ('"
                + disk
                + "', "
                + bound
                + ", 'DEFINED', 'u', 's', '"
                + disk
                + "')");
      }
    }
    try (SqliteDatabase database = SqliteDatabase.open(file())) {
      assertEquals(
          List.of(WriteCache.WRITE_BACK, WriteCache.WRITE_THROUGH),
          database.read(rows ->
              List.of(
                  rows.bindings().ofDisk(attached).orElseThrow().writeCache(),
                  rows.bindings().ofDisk(exposed).orElseThrow().writeCache())));
      assertEquals(
          AfterHostCrash.REBOOT,
          database
              .read(rows -> rows.nodes().find(UUID.fromString(node)))
              .orElseThrow()
              .afterHostCrash());
    }
  }

  @Test
  void whatIsNoDatabaseIsRefusedAndLeftAlone() throws Exception {
    byte[] content =
        "this is a letter, not a database. "
            .repeat(100)
            .getBytes(java.nio.charset.StandardCharsets.UTF_8);
    Files.write(file(), content);
    ControlException e =
        assertThrows(ControlException.class, () -> SqliteDatabase.open(file()).close());
    assertEquals(ErrorCode.DATABASE_FAILED, e.code());
    assertEquals(content.length, Files.size(file()));
  }
}
