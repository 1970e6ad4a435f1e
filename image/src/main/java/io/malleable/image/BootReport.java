package io.malleable.image;

import java.util.List;
import java.util.Set;

/**
 * What would keep a drive from booting over iSCSI.
 *
 * @param firmware those for which it has a loader
 * @param system what it calls itself; empty when that is not known
 * @param kernel the version of the kernel that it boots; empty when that is not known
 * @param findings the worst first
 */
public record BootReport(
    Set<BootFirmware> firmware, String system, String kernel, List<Finding> findings) {
  public BootReport {
    firmware = Set.copyOf(firmware);
    findings = List.copyOf(findings);
  }

  /** The answer in one word. */
  public enum Verdict {
    /** Nothing was found that would stop it. */
    BOOTS,
    /** It does not boot. */
    BLOCKED,
    /** Part of what decides could not be looked into. */
    UNKNOWN
  }

  public Verdict verdict() {
    if (has(Severity.BLOCKS)) {
      return Verdict.BLOCKED;
    }
    return has(Severity.UNKNOWN) ? Verdict.UNKNOWN : Verdict.BOOTS;
  }

  private boolean has(Severity severity) {
    return findings.stream().anyMatch(f -> f.severity() == severity);
  }
}
