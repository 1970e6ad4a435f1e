package io.malleable.control.db;

import io.malleable.control.Image;
import io.malleable.control.Measure;
import io.malleable.control.Rows;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jdbi.v3.core.statement.Query;
import org.jdbi.v3.core.statement.Update;
import org.jspecify.annotations.Nullable;

/** Images. */
final class SqlImages extends SqlTable<Image> implements Rows.Images {
  private static final String SELECT =
      """
      SELECT t.*, p.name AS project_name, coalesce(pi.name, ps.name) AS parent_name
      FROM image t JOIN project p ON p.id = t.project_id
      LEFT JOIN image pi ON pi.id = t.parent_id
      LEFT JOIN snapshot ps ON ps.id = t.parent_id\
      """;

  /** Of the image {@code t} for {@code :project}. */
  static final String VISIBLE =
      "(t.project_id = :project OR t.visibility = 'PUBLIC' OR EXISTS (SELECT 1 FROM image_share s"
          + " WHERE s.image_id = t.id AND s.project_id = :project))";

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
            new Measure.Unknown(),
            Columns.optionalRef(row, "parent"),
            Columns.constant(Image.Visibility.class, row, "visibility"),
            List.of(),
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
  public Optional<Image> findVisible(UUID project, UUID id) {
    return one(
        " WHERE t.id = :id AND " + VISIBLE,
        Map.of("project", project.toString(), "id", id.toString()));
  }

  @Override
  public List<Image> visible(UUID project, String name, int limit) {
    return many(
        " WHERE t.name = :name AND "
            + VISIBLE
            + " ORDER BY CASE WHEN t.project_id = :project THEN 0 ELSE 1 END, p.name LIMIT :limit",
        Map.of("project", project.toString(), "name", name, "limit", limit));
  }

  @Override
  public List<Image> pageVisible(UUID project, Optional<String> afterKey, int limit) {
    String[] key = afterKey.orElse("/").split("/", 2);
    return many(
        " WHERE "
            + VISIBLE
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
  public void share(UUID image, UUID project) {
    execute(
        "INSERT INTO image_share (image_id, project_id) VALUES (:image, :project)", image, project);
  }

  @Override
  public void unshare(UUID image, UUID project) {
    execute(
        "DELETE FROM image_share WHERE image_id = :image AND project_id = :project",
        image,
        project);
  }

  private void execute(String sql, UUID image, UUID project) {
    try (Update update = handle.createUpdate(sql)) {
      update.bind("image", image.toString()).bind("project", project.toString()).execute();
    }
  }

  @Override
  public Map<UUID, List<String>> sharedWith(Set<UUID> images) {
    Map<UUID, List<String>> names = new HashMap<>();
    if (images.isEmpty()) {
      return names;
    }
    try (Query query =
        handle.createQuery(
            "SELECT s.image_id, p.name FROM image_share s JOIN project p ON p.id = s.project_id"
                + " WHERE s.image_id IN (<ids>) ORDER BY p.name")) {
      query
          .bindList("ids", Columns.texts(images))
          .map((row, _) -> Map.entry(Columns.uuid(row, "image_id"), Columns.string(row, "name")))
          .forEach(share ->
              names.computeIfAbsent(share.getKey(), _ -> new ArrayList<>()).add(share.getValue()));
    }
    return names;
  }
}
