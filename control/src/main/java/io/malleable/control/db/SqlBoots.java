package io.malleable.control.db;

import io.malleable.control.Boot;
import io.malleable.control.BootStage;
import io.malleable.control.Rows;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.statement.Query;
import org.jdbi.v3.core.statement.Update;

/** Boots and their stages. */
final class SqlBoots implements Rows.Boots {
  private final Handle handle;

  SqlBoots(Handle handle) {
    this.handle = handle;
  }

  @Override
  public void insert(Boot boot) {
    try (Update update =
        handle.createUpdate(
            """
            INSERT INTO boot (node_id, number, started_at, disk_id, read_before, written_before)
            VALUES (:node, :number, :startedAt, :disk, :readBefore, :writtenBefore)\
            """)) {
      update
          .bind("node", boot.node().toString())
          .bind("number", boot.number())
          .bind("startedAt", boot.startedAt().toEpochMilli())
          .bind("disk", Columns.textOrNull(boot.disk()))
          .bind("readBefore", boot.before().readBytes())
          .bind("writtenBefore", boot.before().writtenBytes())
          .execute();
    }
    boot.stages().forEach(stage -> addStage(boot.node(), boot.number(), stage));
  }

  @Override
  public void addStage(UUID node, long number, Boot.Stage stage) {
    try (Update update =
        handle.createUpdate(
            """
            INSERT INTO boot_stage (node_id, number, stage, at, detail, read_bytes, written_bytes)
            VALUES (:node, :number, :stage, :at, :detail, :readBytes, :writtenBytes)\
            """)) {
      update
          .bind("node", node.toString())
          .bind("number", number)
          .bind("stage", stage.stage().name())
          .bind("at", stage.at().toEpochMilli())
          .bind("detail", stage.detail().orElse(null))
          .bind("readBytes", stage.readBytes())
          .bind("writtenBytes", stage.writtenBytes())
          .execute();
    }
  }

  @Override
  public Optional<Boot> latest(UUID node) {
    return list(node, 1).stream().findFirst();
  }

  @Override
  public List<Boot> list(UUID node, int limit) {
    try (Query query =
        handle.createQuery(
            "SELECT * FROM boot WHERE node_id = :node ORDER BY number DESC LIMIT :limit")) {
      return query
          .bind("node", node.toString())
          .bind("limit", limit)
          .map((row, _) ->
              new Boot(
                  node,
                  row.getLong("number"),
                  Columns.instant(row, "started_at"),
                  Columns.optionalUuid(row, "disk_id"),
                  new Boot.Traffic(row.getLong("read_before"), row.getLong("written_before")),
                  stages(node, row.getLong("number"))))
          .list();
    }
  }

  private List<Boot.Stage> stages(UUID node, long number) {
    try (Query query =
        handle.createQuery(
            "SELECT * FROM boot_stage WHERE node_id = :node AND number = :number ORDER BY at")) {
      return query
          .bind("node", node.toString())
          .bind("number", number)
          .map((row, _) ->
              new Boot.Stage(
                  Columns.constant(BootStage.class, row, "stage"),
                  Columns.instant(row, "at"),
                  Columns.optionalString(row, "detail"),
                  row.getLong("read_bytes"),
                  row.getLong("written_bytes")))
          .stream()
          // Stages of one millisecond: in the order they come.
          .sorted(java.util.Comparator.comparing(Boot.Stage::at).thenComparing(Boot.Stage::stage))
          .toList();
    }
  }

  @Override
  public void trim(UUID node, int keep) {
    try (Update update =
        handle.createUpdate(
            "DELETE FROM boot WHERE node_id = :node AND number <="
                + " (SELECT max(number) FROM boot WHERE node_id = :node) - :keep")) {
      update.bind("node", node.toString()).bind("keep", keep).execute();
    }
  }
}
