package io.malleable.netboot;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What a machine says of itself when it asks for its script. All of it is unproven.
 *
 * @param mac the interface that boots
 * @param nics every address named, {@code mac} first, no duplicates
 * @param attempt how often in succession the drive was tried, the coming time included
 * @param driveFailed whether the previous script's drive did not boot
 */
record BootRequest(
    MacAddress mac,
    List<MacAddress> nics,
    Optional<String> uuid,
    Firmware firmware,
    int attempt,
    boolean driveFailed) {
  static final int MAX_ATTEMPT = 1_000_000;
  private static final int MAX_NICS = 16;
  private static final Pattern UUID_TEXT = Pattern.compile("[0-9a-fA-F-]{32,36}");

  BootRequest {
    nics = List.copyOf(nics);
  }

  /**
   * Reads path and query of a script's URL.
   *
   * @param pathMac the file name without its suffix; empty from an iPXE that does not know which
   *     interface boots
   * @return empty when no address in it is one
   */
  static Optional<BootRequest> parse(String pathMac, Map<String, String> query) {
    List<MacAddress> nics = new ArrayList<>();
    MacAddress.parse(pathMac).ifPresent(nics::add);
    if (nics.isEmpty() && !pathMac.isEmpty()) {
      return Optional.empty();
    }
    for (String text : query.getOrDefault("nics", "").split(",", MAX_NICS + 1)) {
      MacAddress.parse(text)
          .filter(mac -> nics.size() < MAX_NICS && !nics.contains(mac))
          .ifPresent(nics::add);
    }
    if (nics.isEmpty()) {
      return Optional.empty();
    }
    boolean driveFailed = "drive".equals(query.get("failed"));
    return Optional.of(
        new BootRequest(
            nics.getFirst(),
            nics,
            Optional.ofNullable(query.get("uuid")).filter(u -> UUID_TEXT.matcher(u).matches()),
            Firmware.ofPlatform(query.getOrDefault("platform", "")),
            driveFailed ? attempt(query.getOrDefault("attempt", "1")) : 1,
            driveFailed));
  }

  BootRequest as(MacAddress other) {
    return new BootRequest(other, nics, uuid, firmware, attempt, driveFailed);
  }

  private static int attempt(String text) {
    if (!text.matches("[0-9]{1,7}")) {
      return 1;
    }
    return Math.clamp(Integer.parseInt(text), 1, MAX_ATTEMPT);
  }
}
