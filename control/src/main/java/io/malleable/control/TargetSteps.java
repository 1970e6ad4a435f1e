package io.malleable.control;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;

/** Steps that several kinds of operations share: a disk's target comes and goes. */
final class TargetSteps {
  private final Ports ports;

  TargetSteps(Ports ports) {
    this.ports = ports;
  }

  /** A new binding in state PREPARING, with a secret and a token of its own. */
  static Binding newBinding(UUID disk, Optional<UUID> node, List<String> sshKeys) {
    return new Binding(
        disk,
        node,
        Binding.State.PREPARING,
        new ChapCredentials(node.orElse(disk).toString(), RandomText.chapSecret()),
        RandomText.token(),
        sshKeys);
  }

  /** Makes the target that the disk's binding describes; then the binding is DEFINED. */
  Step.Action expose(UUID disk) {
    return Step.Action.of(
            "expose",
            run -> {
              // What machines settled among themselves on an earlier binding must not bind this
              // one.
              ports.targets().clearReservations(disk);
              ports.targets().define(run.database().read(rows -> definition(rows, disk)));
              return Step.Outcome.done(
                  Binding.targetName(disk), rows -> setState(rows, disk, Binding.State.DEFINED));
            })
        .undoneBy(_ -> {
          ports.targets().withdraw(disk);
          ports.targets().clearReservations(disk);
        })
        .undoneIn((rows, _) -> setState(rows, disk, Binding.State.PREPARING));
  }

  /**
   * Takes the target away; undone, it is there again as the binding describes it, with the
   * reservations that it had.
   */
  Step.Action withdraw(UUID disk) {
    return Step.Action.of(
            "withdraw",
            _ -> {
              ports.targets().withdraw(disk);
              return Step.Outcome.done();
            })
        .undoneBy(
            run -> ports.targets().define(run.database().read(rows -> definition(rows, disk))))
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
        node.map(n -> new Targets.Identity(n.ref(), binding.sshKeys(), binding.phoneHomeToken())));
  }
}
