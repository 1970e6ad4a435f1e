package io.malleable.control;

import java.util.UUID;

/**
 * What the rooms below saw of a boot. Every method notes the time, returns at once, and may be
 * called from any thread, also the target's.
 */
public interface BootEvents {
  /**
   * A DHCP or TFTP stage of the machine with this MAC.
   *
   * @param detail for people, such as the loader's name
   */
  void onNetworkStage(MacAddress mac, BootStage stage, String detail);

  /**
   * The machine asked for its boot script.
   *
   * @param remoteAddress of the machine, as far as known
   */
  void onScript(MacAddress mac, String detail, String remoteAddress);

  /**
   * An initiator logged in to the disk's target. The initiator session id tells firmware and
   * operating system apart.
   *
   * @param isid 48 bits, RFC 7143 11.12.5
   */
  void onLogin(UUID disk, String initiator, long isid);

  /** The first read of a session. */
  void onFirstRead(UUID disk);

  /** The first write of a session. */
  void onFirstWrite(UUID disk);

  /** The booted system reported with its token; returns whether the token is one of ours. */
  boolean onPhoneHome(String token);

  /** The booted system reported by its MAC; returns whether such a node is provisioned. */
  boolean onPhoneHome(MacAddress mac);
}
