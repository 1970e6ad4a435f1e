package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** {@code m2 status}: the server and its machines at one glance. */
final class StatusCommand extends ServerCommand {
  private static final int BAR_COLUMNS = 20;

  StatusCommand() {
    super("Shows the server, how full it is, and the project's machines");
  }

  @Override
  protected void run() {
    JsonNode system = api().get("/v1/system");
    List<JsonNode> nodes = api().list("/v1/nodes");
    if (wantsJson()) {
      ObjectNode both = api().object();
      both.set("system", system);
      both.putArray("nodes").addAll(nodes);
      printJson(both);
      return;
    }
    print(system);
    out().println();
    NodeCommands.table(nodes)
        .print(
            out(),
            "There are no nodes in project "
                + api().endpoint().project()
                + ". Add one with: m2 node add NAME --mac MAC; or try: m2 lab up");
  }

  private void print(JsonNode system) {
    JsonNode addresses = system.path("addresses");
    JsonNode capacity = system.path("capacity");
    JsonNode counts = system.path("counts");
    String up = Times.rough(Duration.ofSeconds(system.path("uptimeSeconds").asLong()));
    Details.fields(out(), system)
        .line(
            "server",
            api().endpoint().url()
                + ", version "
                + Table.cell(system.path("version"))
                + ", up "
                + up)
        .line(
            "boot",
            Table.cell(addresses.path("boot")) + ", iSCSI " + Table.cell(addresses.path("iscsi")))
        .text("dataDirectory", "data")
        .line("space", space(system))
        .line("full", full(system.path("storeFull")))
        .line("volumes", volumes(capacity))
        .line(
            "holds",
            count(counts, "images", "image")
                + ", "
                + count(counts, "disks", "disk")
                + ", "
                + count(counts, "snapshots", "snapshot")
                + ", "
                + count(counts, "nodes", "node")
                + " in "
                + count(counts, "projects", "project"))
        .line(
            "busy",
            count(counts, "operations", "operation") + ", " + count(counts, "sessions", "session"))
        .line("connections", connections(system.path("listeners")))
        .line("files", files(system.path("descriptors")))
        .line("damaged", damaged(system))
        .line("failed", failed(system));
  }

  private static String full(JsonNode full) {
    return full.isMissingNode()
        ? "-"
        : "no room for writes since %s: held for %s, refused for %s"
            .formatted(
                Table.cell(full.path("since")),
                count(full, "held", "disk"),
                count(full, "refused", "disk"));
  }

  private static String connections(JsonNode listeners) {
    List<String> parts = new ArrayList<>();
    for (JsonNode listener : listeners) {
      parts.add(
          Table.cell(listener.path("name"))
              + " "
              + listener.path("connections").asLong()
              + " of "
              + listener.path("budget").asLong());
    }
    return parts.isEmpty() ? "-" : String.join(", ", parts);
  }

  private static String files(JsonNode descriptors) {
    if (descriptors.isMissingNode()) {
      return "-";
    }
    String open =
        descriptors.path("open").asLong()
            + " open of "
            + descriptors.path("limit").asLong()
            + " possible";
    return descriptors.has("shortage")
        ? open + ". " + Table.cell(descriptors.path("shortage"))
        : open;
  }

  private static String volumes(JsonNode capacity) {
    if (capacity.isMissingNode()) {
      return "-";
    }
    String shared =
        capacity.has("sharedBytes")
            ? ", " + Table.size(capacity.path("sharedBytes")) + " of it shared"
            : "";
    return Table.size(capacity.path("allocatedBytes"))
        + " allocated"
        + shared
        + "; disks may grow to "
        + Table.size(capacity.path("provisionedBytes"));
  }

  private static String damaged(JsonNode system) {
    if (system.has("storeFault") && system.has("capacity") && !system.has("damaged")) {
      return "unknown: " + Table.cell(system.path("storeFault"));
    }
    String damaged = TroubleCount.damaged(system);
    return damaged.equals("-") ? "-" : damaged + " cannot be used; " + TroubleCount.DAMAGE_REMEDY;
  }

  private static String failed(JsonNode system) {
    String failed = TroubleCount.failed(system);
    return failed.equals("-") ? "-" : failed + " without writes; " + TroubleCount.FAILURE_REMEDY;
  }

  private static String count(JsonNode counts, String field, String noun) {
    long number = counts.path(field).asLong();
    return number + " " + noun + (number == 1 ? "" : "s");
  }

  private static String space(JsonNode system) {
    JsonNode capacity = system.path("capacity");
    if (capacity.isMissingNode()) {
      return "unknown: " + Table.cell(system.path("storeFault"));
    }
    long total = capacity.path("totalBytes").asLong();
    long available = capacity.path("availableBytes").asLong();
    int used =
        total <= 0 ? 0 : (int) Math.round(BAR_COLUMNS * (double) (total - available) / total);
    int full = Math.min(BAR_COLUMNS, Math.max(0, used));
    return "["
        + "#".repeat(full)
        + ".".repeat(BAR_COLUMNS - full)
        + "] "
        + Sizes.format(available)
        + " of "
        + Sizes.format(total)
        + " free";
  }
}
