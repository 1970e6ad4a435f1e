package io.malleable.netboot;

import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * Hears what machines do while they boot. Called on the thread that serves the machine, from many
 * at once: return soon and throw nothing. Every claim in an event is the machine's own and
 * unproven.
 */
public interface BootListener {
  /** A machine was given a script. */
  default void onScript(ScriptServed event) {}

  /** A machine fetched a boot loader. */
  default void onLoader(LoaderServed event) {}

  /** The firmware came back: the drive of its previous script could not be booted. */
  default void onDriveFailed(DriveFailed event) {}

  /**
   * An operating system reports that it is up.
   *
   * @return whether the report belongs to a node; if not, the caller is told so
   */
  default boolean onPhoneHome(PhoneHome event) {
    return false;
  }

  /** A machine and the DHCP server exchanged a message; repetitions included. */
  default void onDhcp(DhcpExchange event) {}

  /**
   * Another DHCP server answers on the segment. Reported once for each, and again after an hour.
   *
   * @param expected whether the mode is made for it
   */
  default void onOtherDhcpServer(Ipv4 server, boolean expected) {}

  /** How a machine was reached: its address and the address of ours that it used. */
  record Link(InetAddress remote, InetAddress local) {}

  /**
   * A script for one machine.
   *
   * @param mac the address under which the node was found, else the one that booted
   * @param nics every address that the machine named, {@code mac} among them
   * @param uuid SMBIOS system UUID, as claimed
   * @param attempt how often in succession the drive was tried, the coming time included
   * @param origin as the machine reaches this listener, {@code http://HOST:PORT}
   */
  record ScriptServed(
      MacAddress mac,
      List<MacAddress> nics,
      Optional<String> uuid,
      Firmware firmware,
      int attempt,
      BootPlan plan,
      Link link,
      String origin) {}

  /**
   * A loader over one of the transports, {@code http} or {@code tftp}.
   *
   * @param mac of the machine, where the kernel's neighbour table knows it
   */
  record LoaderServed(String file, String transport, Optional<MacAddress> mac, Link link) {}

  /**
   * One message of DHCP, from the machine or to it.
   *
   * @param node as the directory names it; empty for a stranger
   * @param client {@code ipxe}, {@code pxe}, {@code http} or {@code other}
   * @param address the machine's, offered or bound, where there is one
   */
  record DhcpExchange(
      MacAddress mac,
      Optional<String> node,
      DhcpMessageType type,
      String client,
      Optional<Ipv4> address) {}

  /** See {@link #onDriveFailed}. */
  record DriveFailed(MacAddress mac, int attempt, Link link) {}

  /**
   * A report of a running system.
   *
   * @param token from the path; empty when the system is known only by its address
   * @param mac as the report claims
   */
  record PhoneHome(Optional<String> token, Optional<MacAddress> mac, Link link) {}
}
