package io.malleable.hardware;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Locale;

/**
 * How vendors differ from the standard, as data. It says what to try first; a refusal that names
 * the cause is answered by the other way once, so that an unknown vendor works too.
 *
 * @param vendor how the service's vendor or the system's manufacturer begins, in lower case
 * @param sendsBootMode BootSourceOverrideMode goes with the target
 * @param sendsEtag a PATCH carries the resource's ETag
 */
record RedfishQuirks(String vendor, boolean sendsBootMode, boolean sendsEtag) {
  static final RedfishQuirks STANDARD = new RedfishQuirks("", true, false);

  private static final List<RedfishQuirks> TABLE =
      List.of(
          // iLO derives the mode from the BIOS settings and refuses to have it written.
          new RedfishQuirks("hpe", false, false),
          new RedfishQuirks("hewlett", false, false),
          // XCC answers 428 to a PATCH without If-Match.
          new RedfishQuirks("lenovo", true, true),
          // Takes the target only together with enabled and mode.
          new RedfishQuirks("supermicro", true, false));

  /** The row of the vendor that the service root or the system names. */
  static RedfishQuirks of(JsonNode serviceRoot, JsonNode system) {
    String service = serviceRoot.path("Vendor").asText().toLowerCase(Locale.ROOT);
    String manufacturer = system.path("Manufacturer").asText().toLowerCase(Locale.ROOT);
    for (RedfishQuirks row : TABLE) {
      if (service.startsWith(row.vendor) || manufacturer.startsWith(row.vendor)) {
        return row;
      }
    }
    return STANDARD;
  }
}
