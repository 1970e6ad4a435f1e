package io.malleable.control;

import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerException;
import io.malleable.hardware.PowerState;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** How operations on nodes are done. */
final class NodeProcedures {
  private static final System.Logger LOG = System.getLogger(NodeProcedures.class.getName());
  private static final String AWAIT = "await-boot";

  /** Input of a power cycle that leaves a machine off that somebody has switched off. */
  static final String ONLY_IF_ON = "onlyIfOn";

  private static final String POWER_STATE = "power-state";

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

  /**
   * Switches a node's power, while a provision waits for it, too.
   *
   * @throws ControlException NODE_BUSY
   */
  static Submission switching(Rows rows, Node node, Map<String, String> furtherInput) {
    Optional<Operation> holder = Claims.holder(rows, node.id());
    if (holder.isPresent() && holder.get().state() != OperationState.WAITING) {
      throw Claims.busy(node.ref(), holder.get());
    }
    Map<String, String> input = new HashMap<>(furtherInput);
    input.put("node", node.id().toString());
    input.put("claims", Boolean.toString(holder.isEmpty()));
    return new Submission(
        UUID.randomUUID(), OperationKind.NODE_POWER, node.projectId(), node.ref(), input);
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

    /**
     * No step that was undone made the target, if the server was started anew before one took it.
     */
    @Override
    public void restore(Run run) throws IOException {
      targets.restore(run, run.operation().inputId("disk"));
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
     * may log in to the system on the drive stays the same. The other node boots, so it goes on
     * over nothing that was lost.
     */
    private static void rebind(Rows rows, UUID disk, UUID node) {
      WriteCache writeCache = require(rows, node).afterHostCrash().writeCache();
      List<String> keys = rows.bindings().ofDisk(disk).map(Binding::sshKeys).orElse(List.of());
      rows.bindings().update(TargetSteps.newBinding(disk, Optional.of(node), keys, writeCache));
    }

    @Override
    public Set<UUID> claims(Operation operation) {
      return Set.of(
          operation.inputId("disk"), operation.inputId("from"), operation.inputId("node"));
    }

    /**
     * No step that was undone made the target, if the server was started anew before one took it.
     */
    @Override
    public void restore(Run run) throws IOException {
      targets.restore(run, run.operation().inputId("disk"));
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
      return operation.input().containsKey(ONLY_IF_ON)
          ? List.of(powerState(id), unlessOff(bootOrder(id)), unlessOff(powerOn(id)))
          : List.of(Step.Action.of("power", run -> switchPower(run, id, action)).staying());
    }

    /** Off and on are steps of their own: repeated after a crash, neither reboots a machine. */
    private static Step unlessOff(Step.Action action) {
      return Step.Action.of(
              action.name(),
              run -> wasOff(run.operation()) ? Step.Outcome.skipped("off") : action.act().run(run))
          .staying();
    }

    /**
     * Recorded before the machine is switched: afterwards, nobody could tell one that was off from
     * one that a server before this one has switched off and not on again.
     */
    private Step powerState(UUID id) {
      return Step.Action.of(
              POWER_STATE,
              run -> {
                Node node = run.database().read(rows -> require(rows, id));
                boolean[] isOff = new boolean[1];
                drive(node, driver -> isOff[0] = driver.state() == PowerState.OFF);
                return isOff[0]
                    ? Step.Outcome.skipped("off: it boots anew when it is switched on")
                    : Step.Outcome.done();
              })
          .staying();
    }

    private static boolean wasOff(Operation operation) {
      return operation.steps().stream()
          .anyMatch(step ->
              step.name().equals(POWER_STATE) && step.state() == OperationStep.State.SKIPPED);
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
