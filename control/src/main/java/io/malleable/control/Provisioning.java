package io.malleable.control;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/** Starts the operations that bind nodes and drives and take them apart. */
final class Provisioning {
  private static final int MAX_NAME_LENGTH = 63;

  private final Ports ports;
  private final Engine engine;

  Provisioning(Ports ports, Engine engine) {
    this.ports = ports;
    this.engine = engine;
  }

  Operation provision(UUID project, String reference, BootDrive drive, List<String> sshKeys) {
    return engine.submit(rows -> {
      Node node = Lookup.node(rows, project, reference);
      requireFree(rows, node);
      Map<String, String> input = new HashMap<>();
      Disk disk =
          switch (drive) {
            case BootDrive.OfDisk(String name) -> {
              Disk existing = Lookup.disk(rows, project, name);
              Claims.requireFree(rows, existing.ref());
              Lookup.requireReady(existing);
              Lookup.requireIdle(existing);
              yield existing;
            }
            case BootDrive.OfImage(String name) -> {
              input.put("cloned", "true");
              yield clone(rows, node, new DiskOrigin.OfImage(name));
            }
            case BootDrive.OfSnapshot(String name) -> {
              input.put("cloned", "true");
              yield clone(rows, node, new DiskOrigin.OfSnapshot(name));
            }
          };
      List<String> keys = SshKeys.merged(node.sshKeys(), sshKeys);
      rows.bindings()
          .insert(
              TargetSteps.newBinding(
                  disk.id(), Optional.of(node.id()), keys, node.afterHostCrash().writeCache()));
      input.put("disk", disk.id().toString());
      input.put("node", node.id().toString());
      input.put("bootsBefore", Long.toString(node.latestBoot()));
      return new Submission(
          UUID.randomUUID(), OperationKind.NODE_PROVISION, project, node.ref(), input);
    });
  }

  private Disk clone(Rows rows, Node node, DiskOrigin origin) {
    return Disks.insertClone(
        rows,
        node.projectId(),
        freeDiskName(rows, node),
        origin,
        Optional.empty(),
        ports.clock().instant());
  }

  /** The node's name, or that name and the first free number. */
  private static String freeDiskName(Rows rows, Node node) {
    String name = node.name();
    for (int i = 2; rows.disks().findByName(node.projectId(), name).isPresent(); i++) {
      String suffix = "-" + i;
      String stem = node.name();
      name = stem.substring(0, Math.min(stem.length(), MAX_NAME_LENGTH - suffix.length())) + suffix;
    }
    return name;
  }

  Operation release(UUID project, String reference, Nodes.ReleasedDisk releasedDisk) {
    return engine.submit(rows -> {
      Node node = Lookup.node(rows, project, reference);
      Binding binding = takeOver(rows, node, "release");
      rows.bindings().update(binding.withState(Binding.State.WITHDRAWING));
      return new Submission(
          UUID.randomUUID(),
          OperationKind.NODE_RELEASE,
          project,
          node.ref(),
          Map.of(
              "node", node.id().toString(),
              "disk", binding.disk().toString(),
              "trash", Boolean.toString(releasedDisk == Nodes.ReleasedDisk.TRASH)));
    });
  }

  Operation failover(UUID project, String reference, String toReference) {
    return engine.submit(rows -> {
      Node from = Lookup.node(rows, project, reference);
      Node to = Lookup.node(rows, project, toReference);
      if (from.id().equals(to.id())) {
        throw ControlException.ofField(
            ErrorCode.FIELD_INVALID,
            "to",
            toReference,
            "A node cannot take over from itself.",
            "Name another, free node; to restart this one: m2 node power "
                + from.name()
                + " cycle");
      }
      requireFree(rows, to);
      Binding binding = takeOver(rows, from, "failover");
      rows.bindings().update(binding.withState(Binding.State.WITHDRAWING));
      return new Submission(
          UUID.randomUUID(),
          OperationKind.NODE_FAILOVER,
          project,
          to.ref(),
          Map.of(
              "from", from.id().toString(),
              "node", to.id().toString(),
              "disk", binding.disk().toString(),
              "bootsBefore", Long.toString(to.latestBoot())));
    });
  }

  /** The binding of a provisioned node, whose waiting operation ends here. */
  private Binding takeOver(Rows rows, Node node, String by) {
    Optional<Operation> holder = Claims.holder(rows, node.id());
    if (holder.isPresent()) {
      if (holder.get().state() != OperationState.WAITING) {
        throw Claims.busy(node.ref(), holder.get());
      }
      engine.supersede(rows, holder.get(), by);
    }
    Binding binding =
        rows.bindings()
            .ofNode(node.id())
            .orElseThrow(() ->
                ControlException.of(
                    ErrorCode.NODE_NOT_PROVISIONED,
                    "The node '" + node.name() + "' is not provisioned.",
                    "There is nothing to take away; see: m2 node show " + node.name()));
    rows.disks().find(binding.disk()).ifPresent(disk -> Claims.requireFree(rows, disk.ref()));
    return binding;
  }

  /** Nothing is bound to the node, and no operation works on it. */
  static void requireFree(Rows rows, Node node) {
    Claims.requireFree(rows, node.ref());
    node.disk()
        .ifPresent(disk -> {
          throw ControlException.of(
              ErrorCode.NODE_PROVISIONED,
              "The node '" + node.name() + "' is provisioned with the " + disk + ".",
              "Release it first: m2 node release " + node.name());
        });
  }
}
