package io.malleable.control.db;

import io.malleable.control.Project;
import io.malleable.control.Ref;
import io.malleable.control.ResourceKind;
import io.malleable.control.Rows;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.statement.Query;

/** The rows of one transaction. */
final class SqlRows implements Rows {
  private final Handle handle;

  SqlRows(Handle handle) {
    this.handle = handle;
  }

  @Override
  public Table<Project> projects() {
    return new SqlProjects(handle);
  }

  @Override
  public Images images() {
    return new SqlImages(handle);
  }

  @Override
  public Disks disks() {
    return new SqlDisks(handle);
  }

  @Override
  public Snapshots snapshots() {
    return new SqlSnapshots(handle);
  }

  @Override
  public Nodes nodes() {
    return new SqlNodes(handle);
  }

  @Override
  public Bindings bindings() {
    return new SqlBindings(handle);
  }

  @Override
  public Operations operations() {
    return new SqlOperations(handle);
  }

  @Override
  public Events events() {
    return new SqlEvents(handle);
  }

  @Override
  public Boots boots() {
    return new SqlBoots(handle);
  }

  @Override
  public List<Dependant> dependants(UUID volume, int limit) {
    return dependants(volume, Optional.empty(), limit);
  }

  @Override
  public List<Dependant> dependants(UUID volume, UUID project, int limit) {
    return dependants(volume, Optional.of(project), limit);
  }

  private List<Dependant> dependants(UUID volume, Optional<UUID> project, int limit) {
    try (Query query =
        handle.createQuery(
            """
            SELECT c.kind, c.id, c.name, c.project_id, p.name AS project_name FROM
              (SELECT 'DISK' AS kind, id, name, project_id FROM disk WHERE parent_id = :id
              UNION ALL SELECT 'SNAPSHOT', id, name, project_id FROM snapshot WHERE parent_id = :id
              UNION ALL SELECT 'IMAGE', id, name, project_id FROM image WHERE parent_id = :id) c
            JOIN project p ON p.id = c.project_id
            WHERE :project IS NULL OR c.project_id = :project
            ORDER BY c.kind, p.name, c.name, c.id LIMIT :limit\
            """)) {
      return query
          .bind("id", volume.toString())
          .bind("project", project.map(UUID::toString))
          .bind("limit", limit)
          .map((row, _) ->
              new Dependant(
                  new Ref(
                      Columns.constant(ResourceKind.class, row, "kind"),
                      Columns.uuid(row, "id"),
                      Columns.string(row, "name")),
                  Columns.uuid(row, "project_id"),
                  Columns.string(row, "project_name")))
          .list();
    }
  }

  @Override
  public Set<UUID> visible(UUID project, Set<UUID> volumes) {
    if (volumes.isEmpty()) {
      return Set.of();
    }
    try (Query query =
        handle.createQuery(
            "SELECT t.id FROM image t WHERE t.id IN (<ids>) AND "
                + SqlImages.VISIBLE
                + " UNION SELECT id FROM snapshot WHERE id IN (<ids>) AND project_id = :project")) {
      return query
          .bind("project", project.toString())
          .bindList("ids", Columns.texts(volumes))
          .map((row, _) -> Columns.uuid(row, "id"))
          .collectIntoSet();
    }
  }

  @Override
  public List<UUID> builtOn() {
    try (Query query =
        handle.createQuery(
            """
            SELECT parent_id AS id FROM disk WHERE parent_id IS NOT NULL
            UNION SELECT parent_id FROM snapshot WHERE parent_id IS NOT NULL
            UNION SELECT parent_id FROM image WHERE parent_id IS NOT NULL
            UNION SELECT s.id FROM snapshot s JOIN disk d ON d.id = s.disk_id\
            """)) {
      return query.map((row, _) -> Columns.uuid(row, "id")).list();
    }
  }

  @Override
  public Counts counts() {
    try (Query query =
        handle.createQuery(
            """
            SELECT (SELECT count(*) FROM project) AS projects,
              (SELECT count(*) FROM image) AS images,
              (SELECT count(*) FROM disk) AS disks,
              (SELECT count(*) FROM snapshot) AS snapshots,
              (SELECT count(*) FROM node) AS nodes,
              (SELECT count(*) FROM operation WHERE finished_at IS NULL) AS operations,
              (SELECT coalesce(sum(size_bytes), 0) FROM disk) AS provisioned\
            """)) {
      return query
          .map((row, _) ->
              new Counts(
                  row.getLong("projects"),
                  row.getLong("images"),
                  row.getLong("disks"),
                  row.getLong("snapshots"),
                  row.getLong("nodes"),
                  row.getLong("operations"),
                  row.getLong("provisioned")))
          .one();
    }
  }

  @Override
  public long owned(UUID project) {
    try (Query query =
        handle.createQuery(
            """
            SELECT (SELECT count(*) FROM image WHERE project_id = :id)
              + (SELECT count(*) FROM disk WHERE project_id = :id)
              + (SELECT count(*) FROM snapshot WHERE project_id = :id)
              + (SELECT count(*) FROM node WHERE project_id = :id)\
            """)) {
      return query.bind("id", project.toString()).mapTo(Long.class).one();
    }
  }
}
