package io.malleable.control.db;

import io.malleable.control.Binding;
import io.malleable.control.ChapCredentials;
import io.malleable.control.LostWrites;
import io.malleable.control.Rows;
import io.malleable.control.WriteCache;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.statement.Query;
import org.jdbi.v3.core.statement.Update;

/** Bindings of disks to those who may log in. */
final class SqlBindings implements Rows.Bindings {
  private final Handle handle;

  SqlBindings(Handle handle) {
    this.handle = handle;
  }

  @Override
  public void insert(Binding binding) {
    write(
        """
        INSERT INTO binding (disk_id, node_id, state, chap_user, chap_secret, phone_home,
          ssh_keys, write_cache, lost_writes_at, lost_writes_boot, power_cycle)
        VALUES (:disk, :node, :state, :user, :secret, :token, :keys, :cache, :lostAt, :lostBoot,
          :cycle)\
        """,
        binding);
  }

  @Override
  public void update(Binding binding) {
    write(
        """
        UPDATE binding SET node_id = :node, state = :state, chap_user = :user,
        chap_secret = :secret, phone_home = :token, ssh_keys = :keys, write_cache = :cache,
        lost_writes_at = :lostAt, lost_writes_boot = :lostBoot, power_cycle = :cycle
        WHERE disk_id = :disk\
        """,
        binding);
  }

  private void write(String sql, Binding binding) {
    Optional<LostWrites> lost = binding.lostWrites();
    try (Update update = handle.createUpdate(sql)) {
      int changed =
          update
              .bind("disk", binding.disk().toString())
              .bind("node", Columns.textOrNull(binding.node()))
              .bind("state", binding.state().name())
              .bind("user", binding.chap().username())
              .bind("secret", binding.chap().secret())
              .bind("token", binding.phoneHomeToken())
              .bind("keys", Columns.text(binding.sshKeys()))
              .bind("cache", binding.writeCache().name())
              .bind("lostAt", Columns.millisOrNull(lost.map(LostWrites::since)))
              .bind("lostBoot", lost.map(LostWrites::boot).orElse(null))
              .bind("cycle", Columns.textOrNull(lost.flatMap(LostWrites::powerCycle)))
              .execute();
      if (changed != 1) {
        throw new IllegalStateException("no binding of disk " + binding.disk());
      }
    }
  }

  @Override
  public void delete(UUID disk) {
    try (Update update = handle.createUpdate("DELETE FROM binding WHERE disk_id = :disk")) {
      update.bind("disk", disk.toString()).execute();
    }
  }

  @Override
  public Optional<Binding> ofDisk(UUID disk) {
    return find(" WHERE disk_id = :value", disk.toString());
  }

  @Override
  public Optional<Binding> ofNode(UUID node) {
    return find(" WHERE node_id = :value", node.toString());
  }

  @Override
  public Optional<Binding> ofToken(String phoneHomeToken) {
    return find(" WHERE phone_home = :value", phoneHomeToken);
  }

  @Override
  public List<Binding> all() {
    return select(" WHERE disk_id <> :value ORDER BY disk_id", "");
  }

  private Optional<Binding> find(String where, String value) {
    return select(where, value).stream().findFirst();
  }

  private List<Binding> select(String where, String value) {
    try (Query query = handle.createQuery("SELECT * FROM binding" + where)) {
      return query
          .bind("value", value)
          .map((row, _) ->
              new Binding(
                  Columns.uuid(row, "disk_id"),
                  Columns.optionalUuid(row, "node_id"),
                  Columns.constant(Binding.State.class, row, "state"),
                  new ChapCredentials(
                      Columns.string(row, "chap_user"), Columns.string(row, "chap_secret")),
                  Columns.string(row, "phone_home"),
                  Columns.lines(row, "ssh_keys"),
                  Columns.constant(WriteCache.class, row, "write_cache"),
                  Columns.lostWrites(row)))
          .list();
    }
  }
}
