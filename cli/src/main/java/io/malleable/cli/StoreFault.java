package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.List;

/** What the store says, or does not say, of the volume of a resource. */
final class StoreFault {
  private StoreFault() {}

  /** What it occupies, or why that is not known. */
  static String occupied(JsonNode resource) {
    return resource.has("storeFault")
        ? "unknown: the store does not say: " + Table.cell(resource.path("storeFault"))
        : Table.size(resource.path("allocatedBytes"));
  }

  /** Why it takes no writes; a dash when it does. */
  static String ofVolume(JsonNode resource) {
    JsonNode fault = resource.path("fault");
    if (fault.isMissingNode()) {
      return "-";
    }
    return "takes no writes since "
        + Table.cell(fault.path("since"))
        + ": "
        + Table.cell(fault.path("cause"))
        + (fault.has("recoveredPercent")
            ? "; recovering, " + fault.path("recoveredPercent").asInt() + "% done"
            : "; look at the drive under the store and at the kernel's log");
  }

  /** Below a list: why it does not say what they occupy. */
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
