package io.malleable.control.db;

import io.malleable.control.AfterHostCrash;
import io.malleable.control.Binding;
import io.malleable.control.Firmware;
import io.malleable.control.MacAddress;
import io.malleable.control.Node;
import io.malleable.control.Ref;
import io.malleable.control.ResourceKind;
import io.malleable.control.Rows;
import io.malleable.hardware.PowerState;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.mapper.RowMapper;
import org.jdbi.v3.core.statement.Update;
import org.jspecify.annotations.Nullable;

/** Nodes with their NICs, binding, claim and latest boot. */
final class SqlNodes extends SqlTable<Node> implements Rows.Nodes {
  private static final String SELECT =
      """
      SELECT t.*, p.name AS project_name, b.disk_id AS disk_id, b.state AS binding_state,
        b.lost_writes_at, b.lost_writes_boot, b.power_cycle,
        d.name AS disk_name, c.operation_id AS operation_id,
        (SELECT max(number) FROM boot WHERE node_id = t.id) AS latest_boot,
        (SELECT string_agg(nic.position || ' ' || nic.mac, ',') FROM nic
          WHERE nic.node_id = t.id) AS nics
      FROM node t JOIN project p ON p.id = t.project_id
      LEFT JOIN binding b ON b.node_id = t.id
      LEFT JOIN disk d ON d.id = b.disk_id
      LEFT JOIN claim c ON c.resource_id = t.id\
      """;

  SqlNodes(Handle handle) {
    super(handle, "node", SELECT, "1 = 1");
  }

  @Override
  RowMapper<Node> mapper() {
    return (row, _) -> {
      UUID id = Columns.uuid(row, "id");
      Optional<UUID> disk = Columns.optionalUuid(row, "disk_id");
      return new Node(
          id,
          Columns.uuid(row, "project_id"),
          Columns.string(row, "project_name"),
          Columns.string(row, "name"),
          state(row),
          Columns.instant(row, "created_at"),
          nics(Columns.optionalString(row, "nics")),
          Columns.constant(Firmware.class, row, "firmware"),
          Columns.string(row, "arch"),
          Columns.optionalString(row, "bmc"),
          Columns.optionalString(row, "address"),
          Columns.lines(row, "ssh_keys"),
          Columns.constant(AfterHostCrash.class, row, "after_host_crash"),
          Columns.constant(PowerState.class, row, "power"),
          disk.isEmpty()
              ? Optional.empty()
              : Optional.of(
                  new Ref(ResourceKind.DISK, disk.get(), Columns.string(row, "disk_name"))),
          Columns.optionalUuid(row, "operation_id"),
          Columns.lostWrites(row),
          row.getLong("latest_boot"),
          row.getLong("revision"));
    };
  }

  private static Node.State state(ResultSet row) throws SQLException {
    if (Columns.optionalString(row, "binding_state").isEmpty()) {
      return Node.State.FREE;
    }
    return switch (Columns.constant(Binding.State.class, row, "binding_state")) {
      case PREPARING -> Node.State.PROVISIONING;
      case DEFINED -> Node.State.PROVISIONED;
      case WITHDRAWING -> Node.State.RELEASING;
    };
  }

  /** Each with its position, as the database promises no order within the text. */
  private static List<MacAddress> nics(Optional<String> text) {
    SortedMap<Integer, MacAddress> nics = new TreeMap<>();
    for (String nic : text.stream().flatMap(all -> Stream.of(all.split(",", -1))).toList()) {
      String[] parts = nic.split(" ", 2);
      nics.put(Integer.valueOf(parts[0]), new MacAddress(parts[1]));
    }
    return List.copyOf(nics.values());
  }

  @Override
  Map<String, @Nullable Object> values(Node node) {
    Map<String, @Nullable Object> values = columns();
    values.put("id", node.id().toString());
    values.put("project_id", node.projectId().toString());
    values.put("name", node.name());
    values.put("created_at", node.createdAt().toEpochMilli());
    values.put("firmware", node.firmware().name());
    values.put("arch", node.arch());
    values.put("bmc", node.bmc().orElse(null));
    values.put("address", node.address().orElse(null));
    values.put("ssh_keys", Columns.text(node.sshKeys()));
    values.put("after_host_crash", node.afterHostCrash().name());
    values.put("power", node.power().name());
    return values;
  }

  @Override
  boolean hasRevision() {
    return true;
  }

  @Override
  public void insert(Node node) {
    super.insert(node);
    insertNics(node);
  }

  @Override
  public void update(Node node) {
    super.update(node);
    try (Update update = handle.createUpdate("DELETE FROM nic WHERE node_id = :node")) {
      update.bind("node", node.id().toString()).execute();
    }
    insertNics(node);
  }

  private void insertNics(Node node) {
    for (int i = 0; i < node.nics().size(); i++) {
      try (Update update =
          handle.createUpdate(
              "INSERT INTO nic (mac, node_id, position) VALUES (:mac, :node, :position)")) {
        update
            .bind("mac", node.nics().get(i).text())
            .bind("node", node.id().toString())
            .bind("position", i)
            .execute();
      }
    }
  }

  @Override
  public Optional<Node> findByMac(MacAddress mac) {
    return one(
        " WHERE t.id = (SELECT node_id FROM nic WHERE mac = :mac)", Map.of("mac", mac.text()));
  }

  @Override
  public Optional<Node> findByAddress(String address) {
    return one(" WHERE t.address = :address", Map.of("address", address));
  }

  @Override
  public void setPower(UUID node, PowerState power) {
    try (Update update =
        handle.createUpdate("UPDATE node SET power = :power WHERE id = :id AND power <> :power")) {
      update.bind("id", node.toString()).bind("power", power.name()).execute();
    }
  }
}
