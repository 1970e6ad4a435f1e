package io.malleable.control.db;

import io.malleable.control.Measure;
import io.malleable.control.Ref;
import io.malleable.control.ResourceKind;
import io.malleable.control.Rows;
import io.malleable.control.Snapshot;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jspecify.annotations.Nullable;

/** Snapshots; the disk's name is the one it has now, or the last one it had. */
final class SqlSnapshots extends SqlTable<Snapshot> implements Rows.Snapshots {
  private static final String SELECT =
      """
      SELECT t.*, p.name AS project_name, coalesce(pi.name, ps.name) AS parent_name,
        coalesce(d.name, t.disk_name) AS disk_name_now
      FROM snapshot t JOIN project p ON p.id = t.project_id
      LEFT JOIN disk d ON d.id = t.disk_id
      LEFT JOIN image pi ON pi.id = t.parent_id
      LEFT JOIN snapshot ps ON ps.id = t.parent_id\
      """;

  SqlSnapshots(Handle handle) {
    super(handle, "snapshot", SELECT, "1 = 1");
  }

  @Override
  RowMapper<Snapshot> mapper() {
    return (row, _) ->
        new Snapshot(
            Columns.uuid(row, "id"),
            Columns.uuid(row, "project_id"),
            Columns.string(row, "project_name"),
            Columns.string(row, "name"),
            Columns.constant(Snapshot.State.class, row, "state"),
            Columns.instant(row, "created_at"),
            row.getLong("size_bytes"),
            new Measure.Unknown(),
            new Ref(
                ResourceKind.DISK,
                Columns.uuid(row, "disk_id"),
                Columns.string(row, "disk_name_now")),
            Columns.optionalRef(row, "parent"));
  }

  @Override
  Map<String, @Nullable Object> values(Snapshot snapshot) {
    Map<String, @Nullable Object> values = columns();
    values.put("id", snapshot.id().toString());
    values.put("project_id", snapshot.projectId().toString());
    values.put("name", snapshot.name());
    values.put("state", snapshot.state().name());
    values.put("created_at", snapshot.createdAt().toEpochMilli());
    values.put("size_bytes", snapshot.sizeBytes());
    values.put("disk_id", snapshot.disk().id().toString());
    values.put("disk_name", snapshot.disk().name());
    values.put("parent_kind", Columns.kindOrNull(snapshot.parent()));
    values.put("parent_id", Columns.idOrNull(snapshot.parent()));
    return values;
  }

  @Override
  public List<Snapshot> pageOfDisk(UUID disk, Optional<String> afterName, int limit) {
    return many(
        " WHERE t.disk_id = :disk AND t.name > :after ORDER BY t.name LIMIT :limit",
        Map.of("disk", disk.toString(), "after", afterName.orElse(""), "limit", limit));
  }

  @Override
  boolean hasRevision() {
    return false;
  }
}
