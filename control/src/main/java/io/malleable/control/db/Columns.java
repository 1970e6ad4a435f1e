package io.malleable.control.db;

import io.malleable.control.LostWrites;
import io.malleable.control.Ref;
import io.malleable.control.ResourceKind;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** How values are kept in columns. */
final class Columns {
  private Columns() {}

  static String text(UUID id) {
    return id.toString();
  }

  static List<String> texts(Set<UUID> ids) {
    return ids.stream().map(UUID::toString).toList();
  }

  /** Texts of one line each, a line for each. */
  static String text(List<String> lines) {
    return String.join("\n", lines);
  }

  static List<String> lines(ResultSet row, String column) throws SQLException {
    return string(row, column).lines().toList();
  }

  static @Nullable String textOrNull(Optional<UUID> id) {
    return id.map(UUID::toString).orElse(null);
  }

  static @Nullable Long millisOrNull(Optional<Instant> at) {
    return at.map(Instant::toEpochMilli).orElse(null);
  }

  static @Nullable String kindOrNull(Optional<Ref> ref) {
    return ref.map(r -> r.kind().name()).orElse(null);
  }

  static @Nullable String idOrNull(Optional<Ref> ref) {
    return ref.map(r -> r.id().toString()).orElse(null);
  }

  static String string(ResultSet row, String column) throws SQLException {
    String value = row.getString(column);
    if (value == null) {
      throw new SQLException("column " + column + " is null");
    }
    return value;
  }

  static Optional<String> optionalString(ResultSet row, String column) throws SQLException {
    return Optional.ofNullable(row.getString(column));
  }

  static UUID uuid(ResultSet row, String column) throws SQLException {
    return UUID.fromString(string(row, column));
  }

  static Optional<UUID> optionalUuid(ResultSet row, String column) throws SQLException {
    return optionalString(row, column).map(UUID::fromString);
  }

  static Instant instant(ResultSet row, String column) throws SQLException {
    return Instant.ofEpochMilli(row.getLong(column));
  }

  static Optional<Instant> optionalInstant(ResultSet row, String column) throws SQLException {
    long millis = row.getLong(column);
    return row.wasNull() ? Optional.empty() : Optional.of(Instant.ofEpochMilli(millis));
  }

  /** Kept in three columns of a binding, absent with the first. */
  static Optional<LostWrites> lostWrites(ResultSet row) throws SQLException {
    Optional<Instant> since = optionalInstant(row, "lost_writes_at");
    return since.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new LostWrites(
                since.get(), row.getLong("lost_writes_boot"), optionalUuid(row, "power_cycle")));
  }

  static <E extends Enum<E>> E constant(Class<E> type, ResultSet row, String column)
      throws SQLException {
    return Enum.valueOf(type, string(row, column));
  }

  /**
   * A reference kept in the columns {@code prefix_kind}, {@code prefix_id}, {@code prefix_name}.
   */
  static Optional<Ref> optionalRef(ResultSet row, String prefix) throws SQLException {
    Optional<UUID> id = optionalUuid(row, prefix + "_id");
    if (id.isEmpty()) {
      return Optional.empty();
    }
    ResourceKind kind = constant(ResourceKind.class, row, prefix + "_kind");
    // What it points to may be gone; its id is then all that is left to show.
    String name = optionalString(row, prefix + "_name").orElse(id.get().toString());
    return Optional.of(new Ref(kind, id.get(), name));
  }
}
