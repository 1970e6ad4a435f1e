package io.malleable.control;

import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;

/** Steps that several kinds of operations share: a disk's target comes and goes. */
final class TargetSteps {
  private static final System.Logger LOG = System.getLogger(TargetSteps.class.getName());
  static final String WITHDRAW = "withdraw";

  private final Ports ports;

  TargetSteps(Ports ports) {
    this.ports = ports;
  }

  /** A new binding in state PREPARING, with a secret and a token of its own. */
  static Binding newBinding(
      UUID disk, Optional<UUID> node, List<String> sshKeys, WriteCache writeCache) {
    return new Binding(
        disk,
        node,
        Binding.State.PREPARING,
        new ChapCredentials(node.orElse(disk).toString(), RandomText.chapSecret()),
        RandomText.token(),
        sshKeys,
        writeCache,
        Optional.empty());
  }

  /** Makes the target that the disk's binding describes; then the binding is DEFINED. */
  Step.Action expose(UUID disk) {
    return Step.Action.of(
            "expose",
            run -> {
              // What machines settled on an earlier binding must not bind those of this one.
              ports.targets().clearReservations(disk);
              ports.targets().define(run.database().read(rows -> definition(rows, disk)));
              return Step.Outcome.done(
                  Binding.targetName(disk), rows -> setState(rows, disk, Binding.State.DEFINED));
            })
        .undoneBy(run -> {
          Optional<String> lost = ports.targets().withdraw(disk);
          lost.ifPresent(why -> run.database().change(rows -> reportLoss(rows, disk, why)));
          ports.targets().clearReservations(disk);
        })
        .undoneIn((rows, _) -> setState(rows, disk, Binding.State.PREPARING));
  }

  /**
   * Takes the target away; undone, it is there again as the binding describes it, with the
   * reservations that were to outlive a restart. What could not be flushed keeps nobody from having
   * the disk: waiting would not bring it back.
   */
  Step.Action withdraw(UUID disk) {
    return Step.Action.of(
            WITHDRAW,
            _ ->
                ports
                    .targets()
                    .withdraw(disk)
                    .map(why ->
                        Step.Outcome.done(
                            "not flushed, so writes may be lost: " + why,
                            rows -> reportLoss(rows, disk, why)))
                    .orElseGet(Step.Outcome::done))
        .undoneBy(run -> restore(run, disk))
        .undoneIn((rows, _) -> setState(rows, disk, Binding.State.DEFINED));
  }

  /** Ends the binding; nothing of it stays, neither the row nor what machines have reserved. */
  Step.Action unbind(String name, UUID disk, Consumer<Rows> alsoWritten) {
    return Step.Action.of(
        name,
        _ -> {
          ports.targets().clearReservations(disk);
          return Step.Outcome.done(rows -> {
            rows.bindings().delete(disk);
            alsoWritten.accept(rows);
          });
        });
  }

  private void reportLoss(Rows rows, UUID disk, String why) {
    Events.appendOfDisk(
        rows,
        ports.clock().instant(),
        disk,
        "disk.unflushed",
        "was withdrawn and could not be flushed ("
            + why
            + "): what was written since its last flush may be lost. Check its file systems before"
            + " it is used again.");
  }

  /**
   * Makes the target that the binding describes. A disk whose volume cannot be used has none: that
   * is reported, and the operation that is taken back can end.
   *
   * @throws IOException what may pass: try again
   */
  void restore(Run run, UUID disk) throws IOException {
    Targets.Definition definition = run.database().read(rows -> definition(rows, disk));
    try {
      ports.targets().define(definition);
    } catch (IOException e) {
      if (!Failures.isDamage(e)) {
        throw e;
      }
      LOG.log(System.Logger.Level.ERROR, "no target for disk " + disk, e);
      run.database()
          .change(rows -> reportMissing(rows, ports.clock().instant(), disk, Failures.message(e)));
    }
  }

  /** A disk that should have a target has none. */
  static void reportMissing(Rows rows, Instant at, UUID disk, String why) {
    Events.appendOfDisk(rows, at, disk, "disk.damaged", "has no target: " + why);
  }

  /**
   * Whether the target of the binding was there when the server before this one ended, and has to
   * be there again: a machine may run on it. The row says that it goes before the operation that
   * takes it away gets to that.
   */
  static boolean isServed(Rows rows, Binding binding) {
    return switch (binding.state()) {
      case DEFINED -> true;
      case PREPARING -> false;
      case WITHDRAWING ->
          Claims.holder(rows, binding.disk()).stream()
              .flatMap(operation -> operation.steps().stream())
              .anyMatch(step ->
                  step.name().equals(WITHDRAW) && step.state() == OperationStep.State.PENDING);
    };
  }

  static void setState(Rows rows, UUID disk, Binding.State state) {
    rows.bindings()
        .ofDisk(disk)
        .ifPresent(binding -> rows.bindings().update(binding.withState(state)));
  }

  /** The target as the binding of the disk describes it. */
  static Targets.Definition definition(Rows rows, UUID disk) {
    Binding binding =
        rows.bindings()
            .ofDisk(disk)
            .orElseThrow(() -> new IllegalStateException("no binding of disk " + disk));
    Optional<Node> node =
        binding
            .node()
            .map(id ->
                rows.nodes()
                    .find(id)
                    .orElseThrow(() -> new IllegalStateException("no node " + id)));
    return new Targets.Definition(
        disk,
        Binding.targetName(disk),
        node.map(Node::initiatorName),
        binding.chap(),
        binding.writeCache(),
        node.map(n -> new Targets.Identity(n.ref(), binding.sshKeys(), binding.phoneHomeToken())));
  }
}
