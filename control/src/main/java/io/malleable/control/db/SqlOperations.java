package io.malleable.control.db;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.malleable.control.ErrorCode;
import io.malleable.control.Operation;
import io.malleable.control.OperationError;
import io.malleable.control.OperationFilter;
import io.malleable.control.OperationKind;
import io.malleable.control.OperationState;
import io.malleable.control.Ref;
import io.malleable.control.ResourceKind;
import io.malleable.control.Rows;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.statement.Query;
import org.jdbi.v3.core.statement.Update;

/** Operations with their claims and idempotency keys. */
final class SqlOperations implements Rows.Operations {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TypeReference<Map<String, String>> INPUT = new TypeReference<>() {};
  private static final String SELECT =
      "SELECT t.*, p.name AS project_name FROM operation t JOIN project p ON p.id = t.project_id";

  private final Handle handle;

  SqlOperations(Handle handle) {
    this.handle = handle;
  }

  @Override
  public void insert(Operation operation) {
    try (Update update =
        handle.createUpdate(
            """
            INSERT INTO operation (id, project_id, kind, state, created_at, finished_at,
              subject_kind, subject_id, subject_name, input, steps, progress, error_code, error,
              error_hint, revision)
            VALUES (:id, :project, :kind, :state, :createdAt, :finishedAt, :subjectKind,
              :subjectId, :subjectName, :input, :steps, :progress, :errorCode, :error, :errorHint,
              1)\
            """)) {
      bindChanging(update, operation)
          .bind("project", operation.projectId().toString())
          .bind("kind", operation.kind().name())
          .bind("createdAt", operation.createdAt().toEpochMilli())
          .bind("subjectKind", operation.subject().kind().name())
          .bind("subjectId", operation.subject().id().toString())
          .bind("subjectName", operation.subject().name())
          .bind("input", json(operation.input()))
          .execute();
    }
  }

  @Override
  public void update(Operation operation) {
    try (Update update =
        handle.createUpdate(
            """
            UPDATE operation SET state = :state, finished_at = :finishedAt, steps = :steps,
              progress = :progress, error_code = :errorCode, error = :error,
              error_hint = :errorHint, revision = revision + 1 WHERE id = :id\
            """)) {
      if (bindChanging(update, operation).execute() != 1) {
        throw new IllegalStateException("no operation " + operation.id());
      }
    }
  }

  private static Update bindChanging(Update update, Operation operation) {
    Optional<OperationError> error = operation.error();
    return update
        .bind("id", operation.id().toString())
        .bind("state", operation.state().name())
        .bind("finishedAt", Columns.millisOrNull(operation.finishedAt()))
        .bind("steps", StepJournal.write(JSON, operation.steps()))
        .bind("progress", operation.progress())
        .bind("errorCode", error.map(e -> e.code().name()).orElse(null))
        .bind("error", error.map(OperationError::message).orElse(null))
        .bind("errorHint", error.flatMap(OperationError::hint).orElse(null));
  }

  private static String json(Map<String, String> input) {
    try {
      return JSON.writeValueAsString(input);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Operation map(ResultSet row) throws SQLException {
    Map<String, String> input;
    try {
      input = JSON.readValue(Columns.string(row, "input"), INPUT);
    } catch (JsonProcessingException e) {
      throw new SQLException("operation.input is not JSON", e);
    }
    Optional<OperationError> error = Optional.empty();
    if (Columns.optionalString(row, "error_code").isPresent()) {
      error =
          Optional.of(
              new OperationError(
                  Columns.constant(ErrorCode.class, row, "error_code"),
                  Columns.string(row, "error"),
                  Columns.optionalString(row, "error_hint")));
    }
    return new Operation(
        Columns.uuid(row, "id"),
        Columns.uuid(row, "project_id"),
        Columns.string(row, "project_name"),
        Columns.constant(OperationKind.class, row, "kind"),
        Columns.constant(OperationState.class, row, "state"),
        Columns.instant(row, "created_at"),
        Columns.optionalInstant(row, "finished_at"),
        new Ref(
            Columns.constant(ResourceKind.class, row, "subject_kind"),
            Columns.uuid(row, "subject_id"),
            Columns.string(row, "subject_name")),
        input,
        StepJournal.read(JSON, Columns.string(row, "steps")),
        row.getDouble("progress"),
        error,
        row.getLong("revision"));
  }

  @Override
  public Optional<Operation> find(UUID id) {
    try (Query query = handle.createQuery(SELECT + " WHERE t.id = :id")) {
      return query.bind("id", id.toString()).map((row, _) -> map(row)).findFirst();
    }
  }

  @Override
  public List<Operation> unfinished() {
    try (Query query =
        handle.createQuery(SELECT + " WHERE t.finished_at IS NULL ORDER BY t.created_at, t.id")) {
      return query.map((row, _) -> map(row)).list();
    }
  }

  @Override
  public long countUnfinished() {
    try (Query query =
        handle.createQuery("SELECT count(*) FROM operation WHERE finished_at IS NULL")) {
      return query.mapTo(Long.class).one();
    }
  }

  @Override
  public List<Operation> page(
      UUID project, OperationFilter filter, Optional<String> afterKey, int limit) {
    StringBuilder sql = new StringBuilder(SELECT).append(" WHERE t.project_id = :project");
    filter.kind().ifPresent(_ -> sql.append(" AND t.kind = :kind"));
    filter.state().ifPresent(_ -> sql.append(" AND t.state = :state"));
    filter.subject().ifPresent(_ -> sql.append(" AND t.subject_id = :subject"));
    String[] key = afterKey.orElse("").split("/", 2);
    boolean continued = key.length == 2 && key[0].matches("[0-9]{1,18}");
    if (continued) {
      sql.append(" AND (t.created_at < :at OR (t.created_at = :at AND t.id < :id))");
    }
    sql.append(" ORDER BY t.created_at DESC, t.id DESC LIMIT :limit");
    try (Query query = handle.createQuery(sql.toString())) {
      query.bind("project", project.toString()).bind("limit", limit);
      filter.kind().ifPresent(kind -> query.bind("kind", kind.name()));
      filter.state().ifPresent(state -> query.bind("state", state.name()));
      filter.subject().ifPresent(subject -> query.bind("subject", subject.toString()));
      if (continued) {
        query.bind("at", Long.parseLong(key[0])).bind("id", key[1]);
      }
      return query.map((row, _) -> map(row)).list();
    }
  }

  @Override
  public String key(Operation operation) {
    return operation.createdAt().toEpochMilli() + "/" + operation.id();
  }

  @Override
  public void deleteFinishedBefore(Instant moment, int limit) {
    try (Update update =
        handle.createUpdate(
            """
            DELETE FROM operation WHERE id IN (SELECT id FROM operation
              WHERE finished_at < :moment ORDER BY finished_at LIMIT :limit)\
            """)) {
      update.bind("moment", moment.toEpochMilli()).bind("limit", limit).execute();
    }
  }

  @Override
  public void deleteOf(UUID project) {
    try (Update update =
        handle.createUpdate(
            "DELETE FROM operation WHERE project_id = :project AND finished_at IS NOT NULL")) {
      update.bind("project", project.toString()).execute();
    }
  }

  @Override
  public void claim(UUID operation, UUID resource) {
    try (Update update =
        handle.createUpdate(
            "INSERT INTO claim (resource_id, operation_id) VALUES (:resource, :operation)")) {
      update
          .bind("resource", resource.toString())
          .bind("operation", operation.toString())
          .execute();
    }
  }

  @Override
  public void unclaim(UUID operation, Set<UUID> resources) {
    for (UUID resource : resources) {
      try (Update update =
          handle.createUpdate(
              "DELETE FROM claim WHERE operation_id = :operation AND resource_id = :resource")) {
        update
            .bind("operation", operation.toString())
            .bind("resource", resource.toString())
            .execute();
      }
    }
  }

  @Override
  public void unclaimAll(UUID operation) {
    try (Update update = handle.createUpdate("DELETE FROM claim WHERE operation_id = :operation")) {
      update.bind("operation", operation.toString()).execute();
    }
  }

  @Override
  public Optional<UUID> holder(UUID resource) {
    try (Query query =
        handle.createQuery("SELECT operation_id FROM claim WHERE resource_id = :resource")) {
      return query
          .bind("resource", resource.toString())
          .map((row, _) -> Columns.uuid(row, "operation_id"))
          .findFirst();
    }
  }

  @Override
  public void remember(UUID project, String requestKey, String fingerprint, UUID operation) {
    try (Update update =
        handle.createUpdate(
            """
            INSERT INTO idempotency (project_id, request_key, fingerprint, operation_id)
            VALUES (:project, :key, :fingerprint, :operation)\
            """)) {
      update
          .bind("project", project.toString())
          .bind("key", requestKey)
          .bind("fingerprint", fingerprint)
          .bind("operation", operation.toString())
          .execute();
    }
  }

  @Override
  public Optional<Rows.Remembered> remembered(UUID project, String requestKey) {
    try (Query query =
        handle.createQuery(
            "SELECT * FROM idempotency WHERE project_id = :project AND request_key = :key")) {
      return query
          .bind("project", project.toString())
          .bind("key", requestKey)
          .map((row, _) ->
              new Rows.Remembered(
                  Columns.string(row, "fingerprint"), Columns.uuid(row, "operation_id")))
          .findFirst();
    }
  }
}
