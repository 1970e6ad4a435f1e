package io.malleable.control.db;

import io.malleable.control.Event;
import io.malleable.control.Ref;
import io.malleable.control.Rows;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.statement.Query;
import org.jdbi.v3.core.statement.Update;

/** Events; sequence numbers are given by the one writer and never reused while events remain. */
final class SqlEvents implements Rows.Events {
  private final Handle handle;

  SqlEvents(Handle handle) {
    this.handle = handle;
  }

  @Override
  public long append(
      Instant at, Optional<UUID> project, String kind, Optional<Ref> subject, String message) {
    long sequence = latest() + 1;
    try (Update update =
        handle.createUpdate(
            """
            INSERT INTO event (sequence, at, project_id, kind, subject_kind, subject_id,
              subject_name, message)
            VALUES (:sequence, :at, :project, :kind, :subjectKind, :subjectId, :subjectName,
              :message)\
            """)) {
      update
          .bind("sequence", sequence)
          .bind("at", at.toEpochMilli())
          .bind("project", Columns.textOrNull(project))
          .bind("kind", kind)
          .bind("subjectKind", Columns.kindOrNull(subject))
          .bind("subjectId", Columns.idOrNull(subject))
          .bind("subjectName", subject.map(Ref::name).orElse(null))
          .bind("message", message)
          .execute();
    }
    return sequence;
  }

  @Override
  public List<Event> after(long sequence, Optional<UUID> project, int limit) {
    return select("e.sequence > :sequence", "e.sequence", sequence, project, limit);
  }

  @Override
  public List<Event> before(long sequence, Optional<UUID> project, int limit) {
    return select("e.sequence < :sequence", "e.sequence DESC", sequence, project, limit);
  }

  private List<Event> select(
      String where, String order, long sequence, Optional<UUID> project, int limit) {
    String ofProject =
        project.isPresent() ? " AND (e.project_id = :project OR e.project_id IS NULL)" : "";
    String sql =
        "SELECT e.*, p.name AS project_name FROM event e LEFT JOIN project p ON p.id = e.project_id"
            + " WHERE "
            + where
            + ofProject
            + " ORDER BY "
            + order
            + " LIMIT :limit";
    try (Query query = handle.createQuery(sql)) {
      query.bind("sequence", sequence).bind("limit", limit);
      project.ifPresent(id -> query.bind("project", id.toString()));
      return query
          .map((row, _) ->
              new Event(
                  row.getLong("sequence"),
                  Columns.instant(row, "at"),
                  Columns.optionalString(row, "project_name"),
                  Columns.string(row, "kind"),
                  Columns.optionalRef(row, "subject"),
                  Columns.string(row, "message")))
          .list();
    }
  }

  @Override
  public long latest() {
    try (Query query = handle.createQuery("SELECT coalesce(max(sequence), 0) FROM event")) {
      return query.mapTo(Long.class).one();
    }
  }

  @Override
  public Set<UUID> lasting(String begin, Set<String> ends) {
    try (Query query =
        handle.createQuery(
            """
            SELECT subject_id AS id FROM event
            WHERE subject_id IS NOT NULL AND (kind = :begin OR kind IN (<ends>))
            GROUP BY subject_id
            HAVING max(CASE WHEN kind = :begin THEN sequence ELSE 0 END)
              > max(CASE WHEN kind = :begin THEN 0 ELSE sequence END)\
            """)) {
      return query
          .bind("begin", begin)
          .bindList("ends", List.copyOf(ends))
          .map((row, _) -> Columns.uuid(row, "id"))
          .collectIntoSet();
    }
  }

  @Override
  public void trim(long keep) {
    try (Update update = handle.createUpdate("DELETE FROM event WHERE sequence <= :upTo")) {
      update.bind("upTo", latest() - keep).execute();
    }
  }
}
