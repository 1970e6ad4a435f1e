package io.malleable.netboot;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** What a machine that asks for a boot script shall do. */
public sealed interface BootPlan {

  /**
   * Boot from a drive.
   *
   * @param target where the drive is
   * @param initiator the name with which the machine has to log in
   * @param chap proves the machine to the target
   * @param mutualChap proves the target to the machine; only together with {@code chap}
   */
  record Provisioned(
      String node,
      String initiator,
      DriveTarget target,
      Optional<ChapCredentials> chap,
      Optional<ChapCredentials> mutualChap)
      implements BootPlan {
    public Provisioned {
      IscsiName.check("initiator", initiator);
      if (mutualChap.isPresent() && chap.isEmpty()) {
        throw new IllegalArgumentException("mutual CHAP needs one-way CHAP too (RFC 7143 12.1.3)");
      }
    }
  }

  /** The node is known and has no drive: say so and ask again. */
  record NotProvisioned(String node) implements BootPlan {}

  /** Nobody has told this server about the machine: say so and ask again. */
  record Unknown() implements BootPlan {}

  /**
   * The node must not start yet, for example because another machine still holds its drive.
   *
   * @param reason one sentence for the machine's screen
   */
  record Wait(String node, String reason) implements BootPlan {}

  /**
   * A drive of a target.
   *
   * @param portals tried together; the first that answers is used
   */
  record DriveTarget(String name, int lun, List<Portal> portals) {
    public DriveTarget {
      IscsiName.check("target", name);
      portals = List.copyOf(portals);
      if (portals.isEmpty()) {
        throw new IllegalArgumentException("a drive needs a portal: " + name);
      }
      if (lun < 0 || lun > 0x3fff) {
        throw new IllegalArgumentException("LUN must be within 0..16383: " + lun);
      }
    }
  }

  /** The names of RFC 7143 4.2.7, which need no quoting in a boot script. */
  final class IscsiName {
    private static final Pattern ALLOWED = Pattern.compile("(?:iqn|eui|naa)\\.[a-z0-9.:-]{1,219}");

    private IscsiName() {}

    static void check(String field, String name) {
      if (!ALLOWED.matcher(name).matches()) {
        throw new IllegalArgumentException(field + " is not an iSCSI name: " + name);
      }
    }
  }
}
