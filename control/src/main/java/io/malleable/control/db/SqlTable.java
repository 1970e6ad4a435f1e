package io.malleable.control.db;

import io.malleable.control.Rows;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jdbi.v3.core.statement.Query;
import org.jdbi.v3.core.statement.Update;
import org.jspecify.annotations.Nullable;

/** One table whose rows have an id, a name and a project; its alias in queries is {@code t}. */
abstract class SqlTable<T> implements Rows.Table<T> {
  final Handle handle;
  private final String table;
  private final String select;
  private final String order;
  private final String notTrashed;

  /**
   * Describes the table.
   *
   * @param select up to the joins, without WHERE
   * @param visible a condition for what {@link #findByName} and {@link #page} see
   */
  SqlTable(Handle handle, String table, String select, String visible) {
    this.handle = handle;
    this.table = table;
    this.select = select;
    this.order = " ORDER BY t.name LIMIT :limit";
    this.notTrashed = visible;
  }

  abstract RowMapper<T> mapper();

  /** The own columns and their values, the id first and without the revision. */
  abstract Map<String, @Nullable Object> values(T row);

  /** Whether the table has a revision column. */
  abstract boolean hasRevision();

  static Map<String, @Nullable Object> columns() {
    return new LinkedHashMap<>();
  }

  @Override
  public void insert(T row) {
    Map<String, @Nullable Object> values = values(row);
    if (hasRevision()) {
      values.put("revision", 1L);
    }
    String names = String.join(", ", values.keySet());
    String places = values.keySet().stream().map(c -> ":" + c).collect(Collectors.joining(", "));
    execute("INSERT INTO " + table + " (" + names + ") VALUES (" + places + ")", values);
  }

  @Override
  public void update(T row) {
    Map<String, @Nullable Object> values = values(row);
    String assignments =
        values.keySet().stream()
            .filter(c -> !c.equals("id"))
            .map(c -> c + " = :" + c)
            .collect(Collectors.joining(", "));
    String revision = hasRevision() ? ", revision = revision + 1" : "";
    int changed =
        execute("UPDATE " + table + " SET " + assignments + revision + " WHERE id = :id", values);
    if (changed != 1) {
      throw new IllegalStateException("no row " + values.get("id") + " in " + table);
    }
  }

  private int execute(String sql, Map<String, @Nullable Object> values) {
    try (Update update = handle.createUpdate(sql)) {
      values.forEach(update::bind);
      return update.execute();
    }
  }

  @Override
  public void delete(UUID id) {
    try (Update update = handle.createUpdate("DELETE FROM " + table + " WHERE id = :id")) {
      update.bind("id", id.toString()).execute();
    }
  }

  @Override
  public Optional<T> find(UUID id) {
    return one(" WHERE t.id = :id", Map.of("id", id.toString()));
  }

  @Override
  public Optional<T> findByName(UUID project, String name) {
    return one(
        " WHERE t.project_id = :project AND t.name = :name AND " + notTrashed,
        Map.of("project", project.toString(), "name", name));
  }

  @Override
  public List<T> page(UUID project, Optional<String> afterName, int limit) {
    return many(
        " WHERE t.project_id = :project AND t.name > :after AND " + notTrashed + order,
        Map.of("project", project.toString(), "after", afterName.orElse(""), "limit", limit));
  }

  @Override
  public List<UUID> ids() {
    try (Query query = handle.createQuery("SELECT id FROM " + table + " ORDER BY id")) {
      return query.map((row, _) -> Columns.uuid(row, "id")).list();
    }
  }

  final Optional<T> one(String where, Map<String, ?> values) {
    List<T> rows = many(where, values);
    return rows.isEmpty() ? Optional.empty() : Optional.of(rows.getFirst());
  }

  final List<T> many(String where, Map<String, ?> values) {
    try (Query query = handle.createQuery(select + where)) {
      values.forEach(query::bind);
      return new ArrayList<>(query.map(mapper()).list());
    }
  }
}
