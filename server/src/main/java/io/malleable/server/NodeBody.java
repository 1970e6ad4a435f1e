package io.malleable.server;

import io.malleable.control.Boot;
import io.malleable.control.LostWrites;
import io.malleable.control.MacAddress;
import io.malleable.control.Node;
import io.malleable.control.Ref;
import io.malleable.hardware.PowerState;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** A node on the wire. */
record NodeBody(
    UUID id,
    String name,
    String project,
    String state,
    Instant createdAt,
    List<Nic> nics,
    String power,
    @Nullable String disk,
    @Nullable UUID diskId,
    @Nullable String bmc,
    String firmware,
    String arch,
    @Nullable String address,
    @Nullable List<String> sshKeys,
    String afterHostCrash,
    @Nullable Reboot reboot,
    @Nullable UUID operation,
    @Nullable Long boot,
    @Nullable List<Stage> bootTimeline) {
  /** A node in a list: without its timeline. */
  static NodeBody of(Node node) {
    return body(node, null);
  }

  static NodeBody of(Node node, Optional<Boot> latest) {
    return body(
        node, latest.map(b -> b.stages().stream().map(Stage::of).toList()).orElse(List.of()));
  }

  private static NodeBody body(Node node, @Nullable List<Stage> timeline) {
    return new NodeBody(
        node.id(),
        node.name(),
        node.project(),
        node.stateWord(),
        node.createdAt(),
        node.nics().stream().map(MacAddress::text).map(Nic::new).toList(),
        word(node.power()),
        node.disk().map(Ref::name).orElse(null),
        node.disk().map(Ref::id).orElse(null),
        node.bmc().orElse(null),
        node.firmware().word(),
        node.arch(),
        node.address().orElse(null),
        node.sshKeys().isEmpty() ? null : node.sshKeys(),
        node.afterHostCrash().word(),
        node.lostWrites().map(Reboot::of).orElse(null),
        node.operation().orElse(null),
        node.latestBoot() == 0 ? null : node.latestBoot(),
        timeline);
  }

  static String word(PowerState power) {
    return power.name().toLowerCase(Locale.ROOT);
  }

  /**
   * Why the machine must reboot.
   *
   * @param operation with which the server reboots it
   */
  record Reboot(String reason, Instant since, @Nullable UUID operation) {
    static Reboot of(LostWrites lost) {
      return new Reboot(LostWrites.REASON, lost.since(), lost.powerCycle().orElse(null));
    }
  }

  /** A network interface. */
  record Nic(@Nullable String mac) {}

  /** A stage of a boot. */
  record Stage(
      String stage, Instant at, @Nullable String detail, long readBytes, long writtenBytes) {
    static Stage of(Boot.Stage stage) {
      return new Stage(
          stage.stage().word(),
          stage.at(),
          stage.detail().orElse(null),
          stage.readBytes(),
          stage.writtenBytes());
    }
  }

  /** Asks for a new node. */
  record Add(
      @Nullable String name,
      @Nullable List<@Nullable Nic> nics,
      @Nullable String bmc,
      @Nullable String firmware,
      @Nullable String arch,
      @Nullable String address,
      @Nullable List<@Nullable String> sshKeys,
      @Nullable String afterHostCrash) {}

  /** Asks for a drive to boot from, exactly one, and who may log in. */
  record Provision(
      @Nullable String image,
      @Nullable String disk,
      @Nullable String snapshot,
      @Nullable List<@Nullable String> sshKeys) {}

  /** Whether the disk goes as well. */
  record Release(@Nullable Boolean deleteDisk) {}

  /** Which node takes over. */
  record Failover(@Nullable String to) {}

  /** What to do with the power. */
  record PowerSwitch(@Nullable String action) {}

  /** The power state, asked for just now. */
  record Power(String power) {}
}
