package io.malleable.control;

import java.util.List;
import java.util.Optional;

/**
 * What a caller says of a machine.
 *
 * @param nics the boot NIC first
 * @param bmc address of the power driver, without a password
 * @param address the IPv4 address that DHCP shall give it, of nobody else
 * @param sshKeys public keys, each one line as in {@code authorized_keys} without options
 * @param afterHostCrash what it does when the host of the server took acknowledged writes with it
 */
public record NodeSpec(
    String name,
    List<MacAddress> nics,
    Firmware firmware,
    String arch,
    Optional<String> bmc,
    Optional<String> address,
    List<String> sshKeys,
    AfterHostCrash afterHostCrash) {
  public NodeSpec {
    nics = List.copyOf(nics);
    sshKeys = List.copyOf(sshKeys);
  }
}
