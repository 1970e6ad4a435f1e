package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.List;

/** Why a store does not say what something occupies. */
final class StoreFault {
  private StoreFault() {}

  /** What it occupies, or why that is not known. */
  static String occupied(JsonNode resource) {
    return resource.has("storeFault")
        ? "unknown: the store does not say: " + Table.cell(resource.path("storeFault"))
        : Table.size(resource.path("allocatedBytes"));
  }

  /** The same for a list, below it. */
  static void note(PrintWriter out, List<JsonNode> resources) {
    resources.stream()
        .filter(resource -> resource.has("storeFault"))
        .findFirst()
        .ifPresent(resource ->
            out.println(
                "What they occupy is unknown: the store does not say: "
                    + Table.cell(resource.path("storeFault"))
                    + "; see: m2 doctor"));
  }
}
