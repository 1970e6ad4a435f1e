package io.malleable.control.db;

import io.malleable.control.Project;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jspecify.annotations.Nullable;

/** Projects; they belong to none, so the {@code project} of a look-up is not used. */
final class SqlProjects extends SqlTable<Project> {
  SqlProjects(Handle handle) {
    super(handle, "project", "SELECT t.* FROM project t", "1 = 1");
  }

  @Override
  RowMapper<Project> mapper() {
    return (row, _) ->
        new Project(
            Columns.uuid(row, "id"),
            Columns.string(row, "name"),
            Columns.instant(row, "created_at"));
  }

  @Override
  Map<String, @Nullable Object> values(Project project) {
    Map<String, @Nullable Object> values = columns();
    values.put("id", project.id().toString());
    values.put("name", project.name());
    values.put("created_at", project.createdAt().toEpochMilli());
    return values;
  }

  @Override
  boolean hasRevision() {
    return false;
  }

  @Override
  public Optional<Project> findByName(UUID project, String name) {
    return one(" WHERE t.name = :name", Map.of("name", name));
  }

  @Override
  public List<Project> page(UUID project, Optional<String> afterName, int limit) {
    return many(
        " WHERE t.name > :after ORDER BY t.name LIMIT :limit",
        Map.of("after", afterName.orElse(""), "limit", limit));
  }
}
