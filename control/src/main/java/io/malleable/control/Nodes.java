package io.malleable.control;

import io.malleable.hardware.PowerState;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;

/** Machines and what they boot from. */
public final class Nodes {
  private static final int MAX_NICS = 16;

  /** Not 0.x, 127.x or above 223.x: no machine has such an address. */
  private static final Pattern IPV4 =
      Pattern.compile(
          "(?!0\\.|127\\.|22[4-9]\\.|2[345][0-9]\\.)"
              + "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.(?!$)|$)){4}");

  private static final Pattern ARCH = Pattern.compile("[a-z0-9_]{1,32}");

  private final Ports ports;
  private final Engine engine;
  private final Provisioning provisioning;
  private final BootTimeline timeline;
  private final BootExplainer explainer;

  Nodes(Ports ports, Engine engine, BootTimeline timeline, BootExplainer explainer) {
    this.ports = ports;
    this.engine = engine;
    this.provisioning = new Provisioning(ports, engine);
    this.timeline = timeline;
    this.explainer = explainer;
    NodeProcedures.register(ports, engine, explainer);
  }

  /** What becomes of the disk of a node that is released. */
  public enum ReleasedDisk {
    KEEP,
    /** Into the trash, from where it can be brought back. */
    TRASH
  }

  /**
   * Adds a machine.
   *
   * @throws ControlException NAME_INVALID, NAME_TAKEN, MAC_TAKEN, ADDRESS_TAKEN, BMC_INVALID,
   *     FIELD_INVALID
   */
  public Node add(UUID project, NodeSpec spec) {
    check(spec);
    return ports
        .database()
        .write(rows -> {
          requireNameFree(rows, project, spec.name());
          requireMacsFree(rows, project, spec.nics(), Optional.empty());
          requireAddressFree(rows, project, spec.address(), Optional.empty());
          UUID id = UUID.randomUUID();
          rows.nodes()
              .insert(
                  new Node(
                      id,
                      project,
                      "",
                      spec.name(),
                      Node.State.FREE,
                      ports.clock().instant(),
                      spec.nics(),
                      spec.firmware(),
                      spec.arch(),
                      spec.bmc(),
                      spec.address(),
                      spec.sshKeys(),
                      spec.afterHostCrash(),
                      PowerState.UNKNOWN,
                      Optional.empty(),
                      Optional.empty(),
                      Optional.empty(),
                      0,
                      1));
          spec.nics().forEach(timeline::forgetUnknown);
          return Lookup.node(rows, project, id.toString());
        });
  }

  /**
   * Changes what is known of a machine. Its NICs, power driver and address can only change while it
   * is free: a machine that runs reaches its drive from the address that it has. So does what it
   * does after a crash of the server's host: a machine that runs has asked for the write cache
   * once.
   *
   * @throws ControlException as {@link #add}, and NOT_FOUND, NODE_BUSY, NODE_PROVISIONED,
   *     REVISION_CHANGED
   */
  public Node change(
      UUID project, String reference, NodeSpec spec, Optional<Long> expectedRevision) {
    check(spec);
    return ports
        .database()
        .write(rows -> {
          Node node = Lookup.node(rows, project, reference);
          Lookup.requireRevision(expectedRevision, node.revision());
          if (!spec.name().equals(node.name())) {
            requireNameFree(rows, project, spec.name());
          }
          if (!spec.nics().equals(node.nics())
              || !spec.bmc().equals(node.bmc())
              || !spec.address().equals(node.address())
              || spec.afterHostCrash() != node.afterHostCrash()) {
            Provisioning.requireFree(rows, node);
          }
          requireMacsFree(rows, project, spec.nics(), Optional.of(node.id()));
          requireAddressFree(rows, project, spec.address(), Optional.of(node.id()));
          rows.nodes().update(node.with(spec));
          return Lookup.node(rows, project, node.id().toString());
        });
  }

  private void check(NodeSpec spec) {
    ResourceName.check("name", spec.name());
    if (spec.nics().isEmpty() || spec.nics().size() > MAX_NICS) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "nics",
          Integer.toString(spec.nics().size()),
          "A node has 1 to " + MAX_NICS + " NICs.",
          "Give the MAC address of the NIC that it boots from first.");
    }
    Set<MacAddress> seen = new HashSet<>();
    for (MacAddress mac : spec.nics()) {
      if (!seen.add(mac)) {
        throw ControlException.ofField(
            ErrorCode.FIELD_INVALID,
            "nics",
            mac.text(),
            "The MAC address " + mac + " is given twice.",
            "Give each NIC once.");
      }
    }
    if (!ARCH.matcher(spec.arch()).matches()) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "arch",
          spec.arch(),
          "'" + spec.arch() + "' is not an architecture.",
          "Use a word such as x86_64 or aarch64.");
    }
    spec.address().ifPresent(Nodes::checkAddress);
    SshKeys.check("sshKeys", spec.sshKeys());
    spec.bmc().ifPresent(ports.power()::checkAddress);
  }

  private static void requireNameFree(Rows rows, UUID project, String name) {
    if (rows.nodes().findByName(project, name).isPresent()) {
      throw Lookup.taken(ResourceKind.NODE, name);
    }
  }

  private static void requireMacsFree(
      Rows rows, UUID project, List<MacAddress> macs, Optional<UUID> except) {
    for (MacAddress mac : macs) {
      Optional<Node> other =
          rows.nodes().findByMac(mac).filter(node -> !Optional.of(node.id()).equals(except));
      if (other.isPresent()) {
        String whose =
            other.get().projectId().equals(project)
                ? "the node '" + other.get().name() + "'"
                : "a node of another project";
        throw ControlException.ofField(
            ErrorCode.MAC_TAKEN,
            "nics",
            mac.text(),
            "The MAC address " + mac + " belongs to " + whose + ".",
            "Check the address, or delete that node first.");
      }
    }
  }

  private static void checkAddress(String address) {
    if (!IPV4.matcher(address).matches()) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "address",
          address,
          "'" + address + "' is not an IPv4 address of a machine.",
          "Use a form such as 10.0.0.21, without a prefix length.");
    }
  }

  private static void requireAddressFree(
      Rows rows, UUID project, Optional<String> address, Optional<UUID> except) {
    Optional<Node> other =
        address
            .flatMap(rows.nodes()::findByAddress)
            .filter(node -> !Optional.of(node.id()).equals(except));
    if (other.isPresent()) {
      throw ControlException.ofField(
          ErrorCode.ADDRESS_TAKEN,
          "address",
          address.orElse(""),
          "The address "
              + address.orElse("")
              + " belongs to "
              + (other.get().projectId().equals(project)
                  ? "the node '" + other.get().name() + "'"
                  : "a node of another project")
              + ".",
          "Give another one, or take it from that node first.");
    }
  }

  /** Whether DHCP gives this address to a node of its own. */
  public boolean isReserved(String address) {
    return ports.database().read(rows -> rows.nodes().findByAddress(address).isPresent());
  }

  /**
   * Finds a node by name or id.
   *
   * @throws ControlException NOT_FOUND
   */
  public Node get(UUID project, String reference) {
    return ports.database().read(rows -> Lookup.node(rows, project, reference));
  }

  /** In the order of names. */
  public Page<Node> list(UUID project, PageRequest request) {
    return ports
        .database()
        .read(rows ->
            request.page(
                rows.nodes().page(project, request.afterKey(), request.limit() + 1), Node::name));
  }

  /**
   * Forgets a free machine.
   *
   * @throws ControlException NOT_FOUND, NODE_BUSY, NODE_PROVISIONED
   */
  public void delete(UUID project, String reference) {
    ports
        .database()
        .change(rows -> {
          Node node = Lookup.node(rows, project, reference);
          Provisioning.requireFree(rows, node);
          rows.nodes().delete(node.id());
        });
  }

  /**
   * Asks the machine whether it is on, and remembers the answer.
   *
   * @throws ControlException NOT_FOUND, POWER_FAILED
   */
  public PowerState power(UUID project, String reference) {
    Node node = get(project, reference);
    if (!ports.power().isAutomatic(node)) {
      return PowerState.UNKNOWN;
    }
    PowerState state;
    try {
      state = ports.power().driver(node).state();
    } catch (IOException e) {
      throw NodeProcedures.powerFailed(node, e);
    }
    if (state != node.power()) {
      ports.database().change(rows -> rows.nodes().setPower(node.id(), state));
    }
    return state;
  }

  /**
   * Switches the machine. A provisioned one is told to boot from the network. While a provision
   * waits for the machine this is allowed and helps.
   *
   * @throws ControlException NOT_FOUND, NODE_BUSY, NODE_HAS_NO_POWER_DRIVER
   */
  public Operation switchPower(UUID project, String reference, PowerAction action) {
    return engine.submit(rows -> {
      Node node = Lookup.node(rows, project, reference);
      if (!ports.power().isAutomatic(node)) {
        throw ControlException.of(
            ErrorCode.NODE_HAS_NO_POWER_DRIVER,
            "The node '" + node.name() + "' has no power driver.",
            "Switch it by hand, or give it one: m2 node set " + node.name() + " --bmc URL");
      }
      return NodeProcedures.switching(rows, node, Map.of("action", action.name()));
    });
  }

  /**
   * Binds a node to a drive and starts it. The operation ends when the operating system has its
   * drive; when a stage of the boot is late it fails and says why, and everything stays in place
   * for a machine that is only slow. Aborted, it takes everything back.
   *
   * @param sshKeys public keys let in beside the node's own; they stay with the drive on failover
   * @return the operation; its subject is the node
   * @throws ControlException NOT_FOUND, NODE_BUSY, NODE_PROVISIONED, IMAGE_NOT_READY,
   *     SNAPSHOT_NOT_READY, DISK_NOT_READY, DISK_BUSY, DISK_ATTACHED, DISK_EXPOSED
   */
  public Operation provision(
      UUID project, String reference, BootDrive drive, List<String> sshKeys) {
    SshKeys.check("sshKeys", sshKeys);
    return provisioning.provision(project, reference, drive, sshKeys);
  }

  /**
   * Stops a node and takes its drive away. A machine that cannot be switched off loses its drive
   * all the same: the sessions are cut. Supersedes a provision that still waits for the machine.
   *
   * @throws ControlException NOT_FOUND, NODE_NOT_PROVISIONED, NODE_BUSY, DISK_BUSY
   */
  public Operation release(UUID project, String reference, ReleasedDisk releasedDisk) {
    return provisioning.release(project, reference, releasedDisk);
  }

  /**
   * Moves the drive of a node to another machine and starts that one. The first machine is cut off
   * from the drive before the other can log in, whether it could be switched off or not.
   *
   * @return the operation; its subject is the other node
   * @throws ControlException NOT_FOUND, NODE_NOT_PROVISIONED, NODE_PROVISIONED, NODE_BUSY,
   *     DISK_BUSY, FIELD_INVALID
   */
  public Operation failover(UUID project, String reference, String toReference) {
    return provisioning.failover(project, reference, toReference);
  }

  /** What a machine that asks for its boot script shall be told. */
  public BootDecision bootDecision(MacAddress mac) {
    return ports
        .database()
        .read(rows -> {
          Optional<Node> node = rows.nodes().findByMac(mac);
          return node.isEmpty() ? new BootDecision.Unknown(mac) : decide(rows, node.get());
        });
  }

  private BootDecision decide(Rows rows, Node node) {
    Optional<Binding> found = rows.bindings().ofNode(node.id());
    if (found.isEmpty()) {
      return new BootDecision.NotProvisioned(node);
    }
    Binding binding = found.get();
    if (binding.state() == Binding.State.DEFINED
        && !ports.targets().defined().contains(binding.disk())) {
      return new BootDecision.NotYet(node, "its drive cannot be used");
    }
    return switch (binding.state()) {
      case PREPARING -> new BootDecision.NotYet(node, "its drive is being prepared");
      case WITHDRAWING -> new BootDecision.NotYet(node, "its drive is being taken away");
      case DEFINED ->
          new BootDecision.Provisioned(
              node,
              binding.disk(),
              Binding.targetName(binding.disk()),
              0,
              node.initiatorName(),
              binding.chap(),
              binding.phoneHomeToken());
    };
  }

  /** The node that boots from the disk, for the identity that it gets beside its drive. */
  public Optional<Node> ofDisk(UUID disk) {
    return ports
        .database()
        .read(rows ->
            rows.bindings()
                .ofDisk(disk)
                .flatMap(Binding::node)
                .flatMap(id -> rows.nodes().find(id)));
  }

  /** The node with this MAC, of whatever project. */
  public Optional<Node> ofMac(MacAddress mac) {
    return ports.database().read(rows -> rows.nodes().findByMac(mac));
  }

  /** Newest first. */
  public List<Boot> boots(UUID project, String reference, int limit) {
    return ports
        .database()
        .read(rows -> rows.boots().list(Lookup.node(rows, project, reference).id(), limit));
  }

  /** Where the latest boot stands and, if it stopped, why and what to do. */
  public Explanation explain(UUID project, String reference) {
    return ports
        .database()
        .read(rows -> explainer.explain(rows, Lookup.node(rows, project, reference)));
  }

  /** Machines that asked for a boot script and that nobody added, the latest first; bounded. */
  public List<UnknownMachine> unknownMachines() {
    return timeline.unknownMachines();
  }
}
