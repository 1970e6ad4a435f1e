package io.malleable.control;

import io.malleable.hardware.PowerState;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/**
 * A machine. Its state follows from its binding to a disk and is never stored, so it cannot get
 * stuck.
 *
 * @param nics MAC addresses, the boot NIC first
 * @param arch such as x86_64
 * @param bmc address of its power driver without a password; absent means that somebody else
 *     switches it
 * @param address the IPv4 address that DHCP gives it; absent means one from the pool
 * @param sshKeys public keys of those who may log in to what it boots, each one line
 * @param afterHostCrash what it does when the host of the server took acknowledged writes with it
 * @param power as last seen
 * @param disk the disk that it boots from
 * @param operation the unfinished operation that holds it
 * @param lostWrites why it must reboot, until it has
 * @param latestBoot number of its latest boot; 0 before the first
 * @param revision grows with every change, for optimistic locking
 */
public record Node(
    UUID id,
    UUID projectId,
    String project,
    String name,
    State state,
    Instant createdAt,
    List<MacAddress> nics,
    Firmware firmware,
    String arch,
    Optional<String> bmc,
    Optional<String> address,
    List<String> sshKeys,
    AfterHostCrash afterHostCrash,
    PowerState power,
    Optional<Ref> disk,
    Optional<UUID> operation,
    Optional<LostWrites> lostWrites,
    long latestBoot,
    long revision)
    implements Resource {
  /** Which part of its way to a disk and back it is on. */
  public enum State {
    FREE,
    PROVISIONING,
    PROVISIONED,
    RELEASING
  }

  public Node {
    nics = List.copyOf(nics);
    sshKeys = List.copyOf(sshKeys);
  }

  @Override
  public String stateWord() {
    return state.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public Ref ref() {
    return new Ref(ResourceKind.NODE, id, name);
  }

  /** The initiator name that its firmware and its operating system log in with. */
  public String initiatorName() {
    return "iqn.2026-11.io.malleable.node:" + id;
  }

  /** Whether what runs on it is the system that must not go on. */
  boolean isHeld() {
    return lostWrites.filter(lost -> latestBoot <= lost.boot()).isPresent();
  }

  Node with(NodeSpec spec) {
    return new Node(
        id,
        projectId,
        project,
        spec.name(),
        state,
        createdAt,
        spec.nics(),
        spec.firmware(),
        spec.arch(),
        spec.bmc(),
        spec.address(),
        spec.sshKeys(),
        spec.afterHostCrash(),
        power,
        disk,
        operation,
        lostWrites,
        latestBoot,
        revision);
  }
}
