package io.malleable.control.db;

import io.malleable.control.Disk;
import io.malleable.control.Measure;
import io.malleable.control.Ref;
import io.malleable.control.ResourceKind;
import io.malleable.control.Rows;
import io.malleable.control.WriteCache;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jspecify.annotations.Nullable;

/** Disks with what they were cloned from and what uses them. */
final class SqlDisks extends SqlTable<Disk> implements Rows.Disks {
  private static final String SELECT =
      """
      SELECT t.*, p.name AS project_name, coalesce(pi.name, ps.name) AS parent_name,
        b.disk_id AS bound, b.write_cache, b.lost_writes_at, b.lost_writes_boot, b.power_cycle,
        b.node_id AS node_id, n.name AS node_name
      FROM disk t JOIN project p ON p.id = t.project_id
      LEFT JOIN image pi ON pi.id = t.parent_id
      LEFT JOIN snapshot ps ON ps.id = t.parent_id
      LEFT JOIN binding b ON b.disk_id = t.id
      LEFT JOIN node n ON n.id = b.node_id\
      """;

  SqlDisks(Handle handle) {
    super(handle, "disk", SELECT, "t.trashed_at IS NULL");
  }

  @Override
  RowMapper<Disk> mapper() {
    return (row, _) ->
        new Disk(
            Columns.uuid(row, "id"),
            Columns.uuid(row, "project_id"),
            Columns.string(row, "project_name"),
            Columns.string(row, "name"),
            Columns.constant(Disk.State.class, row, "state"),
            Columns.instant(row, "created_at"),
            row.getLong("size_bytes"),
            new Measure.Unknown(),
            Columns.optionalRef(row, "parent"),
            use(row),
            Columns.optionalInstant(row, "trashed_at"),
            row.getLong("revision"));
  }

  private static Disk.Use use(ResultSet row) throws SQLException {
    if (Columns.optionalString(row, "bound").isEmpty()) {
      return new Disk.Use.Idle();
    }
    Optional<UUID> node = Columns.optionalUuid(row, "node_id");
    return node.isEmpty()
        ? new Disk.Use.Exposed(
            Columns.constant(WriteCache.class, row, "write_cache"), Columns.lostWrites(row))
        : new Disk.Use.Attached(
            new Ref(ResourceKind.NODE, node.get(), Columns.string(row, "node_name")));
  }

  @Override
  Map<String, @Nullable Object> values(Disk disk) {
    Map<String, @Nullable Object> values = columns();
    values.put("id", disk.id().toString());
    values.put("project_id", disk.projectId().toString());
    values.put("name", disk.name());
    values.put("state", disk.state().name());
    values.put("created_at", disk.createdAt().toEpochMilli());
    values.put("size_bytes", disk.sizeBytes());
    values.put("parent_kind", Columns.kindOrNull(disk.parent()));
    values.put("parent_id", Columns.idOrNull(disk.parent()));
    values.put("trashed_at", Columns.millisOrNull(disk.trashedAt()));
    return values;
  }

  @Override
  boolean hasRevision() {
    return true;
  }

  @Override
  public Optional<Disk> findTrashed(UUID project, String name) {
    return one(
        " WHERE t.project_id = :project AND t.name = :name AND t.trashed_at IS NOT NULL"
            + " ORDER BY t.trashed_at DESC LIMIT 1",
        Map.of("project", project.toString(), "name", name));
  }

  @Override
  public List<Disk> pageTrashed(UUID project, Optional<String> afterKey, int limit) {
    // Several of one name may lie in the trash: the key is name and id.
    String[] key = afterKey.orElse("/").split("/", 2);
    return many(
        " WHERE t.project_id = :project AND t.trashed_at IS NOT NULL"
            + " AND (t.name > :name OR (t.name = :name AND t.id > :id))"
            + " ORDER BY t.name, t.id LIMIT :limit",
        Map.of(
            "project",
            project.toString(),
            "name",
            key[0],
            "id",
            key.length > 1 ? key[1] : "",
            "limit",
            limit));
  }

  @Override
  public List<Disk> trashedBefore(Instant moment, int limit) {
    return many(
        " WHERE t.trashed_at < :moment AND t.state = 'TRASHED' ORDER BY t.trashed_at LIMIT :limit",
        Map.of("moment", moment.toEpochMilli(), "limit", limit));
  }
}
