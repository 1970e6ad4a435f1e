package io.malleable.hardware;

import org.jspecify.annotations.Nullable;

/**
 * The {@code bmc} of a node, taken apart. Addresses never hold a password; the ones that name an
 * account get theirs from {@link Credentials}.
 */
public sealed interface BmcAddress {
  /** Nobody switches this machine. */
  record None() implements BmcAddress {}

  /** The lab's machine directory of this name. */
  record Qemu(String name) implements BmcAddress {}

  /** An IPMI 2.0 BMC over RMCP+. */
  record Ipmi(String user, String host, int port) implements BmcAddress {}

  /**
   * A Redfish service.
   *
   * @param systemPath the ComputerSystem, or null for the only one there is
   * @param boot how a UEFI machine shall boot from the network
   * @param insecure true when the certificate shall not be checked, which only the address can ask
   * @param console where the same account finds Serial over LAN, or null for no console
   */
  record Redfish(
      String user,
      String host,
      int port,
      @Nullable String systemPath,
      NetworkBoot boot,
      boolean insecure,
      @Nullable Ipmi console)
      implements BmcAddress {}

  /** By which of its network boot options the firmware is told to start. */
  enum NetworkBoot {
    PXE,
    /** UEFI HTTP boot. */
    HTTP
  }

  /**
   * Reads an address; an absent or blank one means none.
   *
   * @throws BmcAddressException naming what is wrong and what would be right
   */
  static BmcAddress parse(@Nullable String text) {
    return BmcAddressParser.parse(text);
  }
}
