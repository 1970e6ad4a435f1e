package io.malleable.iscsi;

import java.util.Map;
import java.util.Objects;

/**
 * A target as its owner wants it.
 *
 * @param name iSCSI name, for example {@code iqn.2026-11.io.malleable:disk-1}
 * @param luns logical units by number, 0 to 255
 */
public record TargetDefinition(String name, Map<Integer, LogicalUnit> luns, Access access) {
  /** Single-level LUNs by peripheral device addressing (SAM-5 4.7.7.4) have eight bits. */
  static final int MAX_LUN = 255;

  public TargetDefinition {
    IscsiName.require("target name", name);
    luns = Map.copyOf(luns);
    Objects.requireNonNull(access, "access");
    for (Map.Entry<Integer, LogicalUnit> entry : luns.entrySet()) {
      if (entry.getKey() < 0 || entry.getKey() > MAX_LUN) {
        throw new IllegalArgumentException(
            "LUN " + entry.getKey() + " of " + name + "; use 0 to " + MAX_LUN);
      }
      int blockSizeBytes = entry.getValue().blockSizeBytes();
      if (blockSizeBytes != 512 && blockSizeBytes != 4096) {
        throw new IllegalArgumentException(
            "LUN "
                + entry.getKey()
                + " of "
                + name
                + " has blocks of "
                + blockSizeBytes
                + " bytes; use 512 or 4096");
      }
    }
  }
}
