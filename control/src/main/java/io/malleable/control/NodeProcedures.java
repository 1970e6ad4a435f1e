package io.malleable.control;

import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerException;
import io.malleable.hardware.PowerState;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** How operations on nodes are done. */
final class NodeProcedures {
  private static final System.Logger LOG = System.getLogger(NodeProcedures.class.getName());
  private static final String AWAIT = "await-boot";

  private final Ports ports;
  private final BootExplainer explainer;
  private final TargetSteps targets;
  private final DiskProcedures disks;

  private NodeProcedures(Ports ports, BootExplainer explainer) {
    this.ports = ports;
    this.explainer = explainer;
    this.targets = new TargetSteps(ports);
    this.disks = DiskProcedures.forNodes(ports);
  }

  static void register(Ports ports, Engine engine, BootExplainer explainer) {
    NodeProcedures nodes = new NodeProcedures(ports, explainer);
    engine.register(OperationKind.NODE_PROVISION, nodes.new Provision());
    engine.register(OperationKind.NODE_RELEASE, nodes.new Release());
    engine.register(OperationKind.NODE_FAILOVER, nodes.new Failover());
    engine.register(OperationKind.NODE_POWER, nodes.new Switch());
  }

  static ControlException powerFailed(Node node, IOException e) {
    return ControlException.of(
            ErrorCode.POWER_FAILED,
            "The power of the node '"
                + node.name()
                + "' could not be switched or read: "
                + Failures.message(e),
            e instanceof PowerException power
                ? power.remedy()
                : "Check its BMC: address, user, password, network.")
        .causedBy(e);
  }

  private static Node require(Rows rows, UUID id) {
    return rows.nodes()
        .find(id)
        .orElseThrow(() -> new IllegalStateException("node " + id + " is gone"));
  }

  /** Something to do with a machine's driver. */
  private interface Switching {
    void with(PowerDriver driver) throws IOException;
  }

  private Optional<Node> automatic(Run run, UUID id) {
    return Optional.of(run.database().read(rows -> require(rows, id)))
        .filter(ports.power()::isAutomatic);
  }

  private void drive(Node node, Switching switching) {
    try {
      switching.with(ports.power().driver(node));
    } catch (IOException e) {
      throw powerFailed(node, e);
    }
  }

  /** Off, and told to boot from the network when it starts. */
  private Step.Action bootOrder(UUID id) {
    return Step.Action.of(
        "boot-order",
        run -> {
          Optional<Node> node = automatic(run, id);
          if (node.isEmpty()) {
            return Step.Outcome.skipped("no power driver");
          }
          drive(node.get(), NodeProcedures::prepareNetworkBoot);
          return Step.Outcome.done(rows -> rows.nodes().setPower(id, PowerState.OFF));
        });
  }

  private static void prepareNetworkBoot(PowerDriver driver) throws IOException {
    if (driver.state() != PowerState.OFF) {
      driver.off();
    }
    driver.bootFromNetworkOnce();
  }

  private Step.Action powerOn(UUID id) {
    return Step.Action.of(
            "power-on",
            run -> {
              Optional<Node> node = automatic(run, id);
              if (node.isEmpty()) {
                return Step.Outcome.skipped("no power driver: start the machine by hand");
              }
              drive(node.get(), PowerDriver::on);
              Instant now = ports.clock().instant();
              return Step.Outcome.done(rows -> poweredOn(rows, id, now));
            })
        .undoneBy(run -> powerOffIfPossible(run, id))
        .undoneIn((rows, _) -> rows.nodes().setPower(id, PowerState.UNKNOWN));
  }

  private void poweredOn(Rows rows, UUID node, Instant at) {
    rows.nodes().setPower(node, PowerState.ON);
    BootTimeline.begin(ports, rows, node, at, List.of(BootTimeline.stage(BootStage.POWER_ON, at)));
  }

  /** Best effort: what keeps a machine from its old drive is the target that is not there. */
  private Step.Action powerOff(UUID id) {
    return Step.Action.of(
        "power-off",
        run -> {
          Optional<String> problem = powerOffIfPossible(run, id);
          return problem.isPresent()
              ? Step.Outcome.skipped(problem.get())
              : Step.Outcome.done(rows -> rows.nodes().setPower(id, PowerState.OFF));
        });
  }

  /** Returns what kept it from being switched off. */
  private Optional<String> powerOffIfPossible(Run run, UUID id) {
    Optional<Node> node = automatic(run, id);
    if (node.isEmpty()) {
      return Optional.of("no power driver: the machine is cut off from its drive");
    }
    try {
      PowerDriver driver = ports.power().driver(node.get());
      if (driver.state() != PowerState.OFF) {
        driver.off();
      }
      return Optional.empty();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "cannot switch off " + node.get().name(), e);
      return Optional.of(
          "could not be switched off, is cut off from its drive: " + Failures.message(e));
    }
  }

  private Step.Await awaitBoot(Operation operation) {
    UUID node = operation.inputId("node");
    long before = Long.parseLong(operation.input().getOrDefault("bootsBefore", "0"));
    return new Step.Await(
        AWAIT,
        node,
        Set.of(operation.inputId("disk")),
        (rows, _, now) -> {
          Optional<Boot> boot = rows.boots().latest(node).filter(b -> b.number() > before);
          if (boot.isEmpty()) {
            // Nobody has switched it on yet; there is no hurry.
            return new Step.Waiting.Until(Instant.MAX);
          }
          Optional<BootDeadlines.Due> due = explainer.due(boot.get());
          if (due.isEmpty()) {
            return new Step.Waiting.Over(
                Step.Outcome.done(BootExplainer.duration(boot.get()), _ -> {}));
          }
          if (now.isBefore(due.get().deadline())) {
            return new Step.Waiting.Until(due.get().deadline());
          }
          throw explainer.stalled(rows, require(rows, node));
        });
  }

  private final class Provision implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID disk = operation.inputId("disk");
      UUID node = operation.inputId("node");
      List<Step> steps = new ArrayList<>();
      if (isCloned(operation)) {
        steps.add(disks.cloneParent(disk).undoneBy(this::deleteUnusedClone));
      }
      steps.add(targets.expose(disk));
      steps.add(bootOrder(node));
      steps.add(powerOn(node));
      steps.add(awaitBoot(operation));
      return steps;
    }

    private static boolean isCloned(Operation operation) {
      return operation.input().containsKey("cloned");
    }

    private void deleteUnusedClone(Run run) throws IOException {
      if (!mayHaveBooted(run.operation())) {
        ports.volumes().delete(run.operation().inputId("disk"));
      }
    }

    /** Whether the machine had its chance to write something that somebody may want. */
    private static boolean mayHaveBooted(Operation operation) {
      return operation.steps().stream()
          .anyMatch(step -> step.name().equals(AWAIT) && step.startedAt().isPresent());
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(operation.inputId("disk"), operation.inputId("node"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      UUID id = operation.inputId("disk");
      rows.bindings().delete(id);
      if (!isCloned(operation)) {
        return;
      }
      if (mayHaveBooted(operation)) {
        trash(rows, id, ports.clock().instant());
      } else {
        rows.disks().delete(id);
      }
    }
  }

  private static void trash(Rows rows, UUID disk, Instant now) {
    rows.disks()
        .find(disk)
        .ifPresent(d -> rows.disks().update(d.withState(Disk.State.TRASHED, Optional.of(now))));
  }

  private final class Release implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID disk = operation.inputId("disk");
      boolean intoTrash = Boolean.parseBoolean(operation.input().get("trash"));
      return List.of(
          powerOff(operation.inputId("node")),
          targets.withdraw(disk),
          targets.unbind(
              "detach",
              disk,
              rows -> {
                if (intoTrash) {
                  trash(rows, disk, ports.clock().instant());
                }
              }));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(operation.inputId("disk"), operation.inputId("node"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      TargetSteps.setState(rows, operation.inputId("disk"), Binding.State.DEFINED);
    }
  }

  private final class Failover implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID disk = operation.inputId("disk");
      UUID from = operation.inputId("from");
      UUID to = operation.inputId("node");
      return List.of(
          powerOff(from),
          targets.withdraw(disk),
          Step.Action.of("rebind", _ -> Step.Outcome.done(rows -> rebind(rows, disk, to)))
              .undoneIn((rows, _) -> rebind(rows, disk, from)),
          targets.expose(disk),
          bootOrder(to).staying(),
          powerOn(to).staying(),
          awaitBoot(operation));
    }

    /**
     * With a new secret and token: the ones of the first node are worth nothing from now on. Who
     * may log in to the system on the drive stays the same.
     */
    private static void rebind(Rows rows, UUID disk, UUID node) {
      List<String> keys = rows.bindings().ofDisk(disk).map(Binding::sshKeys).orElse(List.of());
      rows.bindings().update(TargetSteps.newBinding(disk, Optional.of(node), keys));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(
          operation.inputId("disk"), operation.inputId("from"), operation.inputId("node"));
    }

    @Override
    public void rolledBack(Rows rows, Operation operation) {
      TargetSteps.setState(rows, operation.inputId("disk"), Binding.State.DEFINED);
    }
  }

  private final class Switch implements Procedure {
    @Override
    public List<Step> steps(Operation operation) {
      UUID id = operation.inputId("node");
      PowerAction action = PowerAction.valueOf(operation.input().getOrDefault("action", ""));
      return List.of(Step.Action.of("power", run -> switchPower(run, id, action)).staying());
    }

    private Step.Outcome switchPower(Run run, UUID id, PowerAction action) {
      Node node = run.database().read(rows -> require(rows, id));
      boolean[] wasOff = new boolean[1];
      drive(
          node,
          driver -> {
            wasOff[0] = driver.state() != PowerState.ON;
            switch (action) {
              case OFF -> driver.off();
              case ON -> {
                if (wasOff[0] && node.disk().isPresent()) {
                  driver.bootFromNetworkOnce();
                }
                driver.on();
              }
              case CYCLE -> {
                if (node.disk().isPresent()) {
                  prepareNetworkBoot(driver);
                  driver.on();
                } else {
                  driver.cycle();
                }
              }
            }
          });
      Instant now = ports.clock().instant();
      return Step.Outcome.done(rows -> {
        if (action == PowerAction.OFF) {
          rows.nodes().setPower(id, PowerState.OFF);
        } else if (action == PowerAction.CYCLE || wasOff[0]) {
          poweredOn(rows, id, now);
        }
      });
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Boolean.parseBoolean(operation.input().get("claims"))
          ? Set.of(operation.inputId("node"))
          : Set.of();
    }
  }
}
