package io.malleable.control.db;

import io.malleable.control.Image;
import io.malleable.control.Rows;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jspecify.annotations.Nullable;

/** Images. */
final class SqlImages extends SqlTable<Image> implements Rows.Images {
  private static final String SELECT =
      """
      SELECT t.*, p.name AS project_name, ps.name AS parent_name
      FROM image t JOIN project p ON p.id = t.project_id
      LEFT JOIN snapshot ps ON ps.id = t.parent_id\
      """;

  SqlImages(Handle handle) {
    super(handle, "image", SELECT, "1 = 1");
  }

  @Override
  RowMapper<Image> mapper() {
    return (row, _) ->
        new Image(
            Columns.uuid(row, "id"),
            Columns.uuid(row, "project_id"),
            Columns.string(row, "project_name"),
            Columns.string(row, "name"),
            Columns.constant(Image.State.class, row, "state"),
            Columns.instant(row, "created_at"),
            row.getLong("size_bytes"),
            0,
            Columns.optionalRef(row, "parent"),
            Columns.constant(Image.Visibility.class, row, "visibility"),
            Columns.optionalString(row, "format"),
            Columns.optionalString(row, "sha256"),
            Columns.optionalString(row, "source"),
            row.getLong("revision"));
  }

  @Override
  Map<String, @Nullable Object> values(Image image) {
    Map<String, @Nullable Object> values = columns();
    values.put("id", image.id().toString());
    values.put("project_id", image.projectId().toString());
    values.put("name", image.name());
    values.put("state", image.state().name());
    values.put("created_at", image.createdAt().toEpochMilli());
    values.put("size_bytes", image.sizeBytes());
    values.put("parent_kind", Columns.kindOrNull(image.parent()));
    values.put("parent_id", Columns.idOrNull(image.parent()));
    values.put("visibility", image.visibility().name());
    values.put("format", image.format().orElse(null));
    values.put("sha256", image.sha256().orElse(null));
    values.put("source", image.source().orElse(null));
    return values;
  }

  @Override
  boolean hasRevision() {
    return true;
  }

  @Override
  public Optional<Image> findVisible(UUID project, String name) {
    return one(
        " WHERE t.name = :name AND (t.project_id = :project OR t.visibility = 'PUBLIC')"
            + " ORDER BY CASE WHEN t.project_id = :project THEN 0 ELSE 1 END, t.created_at LIMIT 1",
        Map.of("project", project.toString(), "name", name));
  }

  @Override
  public List<Image> pageVisible(UUID project, Optional<String> afterKey, int limit) {
    String[] key = afterKey.orElse("/").split("/", 2);
    return many(
        " WHERE (t.project_id = :project OR t.visibility = 'PUBLIC')"
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
}
