package io.malleable.control;

import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.UUID;

/**
 * Keeps machines from going on over acknowledged writes that the host of the server took with it.
 *
 * <p>The secret of each such disk is changed before its target is there again. An initiator that
 * had it open repeats its login with the old secret for ever, so its system stands still; what
 * boots anew gets the new secret. Machines that we can switch are rebooted, some at a time.
 *
 * <p>Everything that is to be done follows from the bindings, so that a crash at any point repeats
 * nothing but a change of secret that no machine has seen. Used by one thread at a time: the one
 * that starts the server, and then the clockwork.
 */
final class HostCrashes {
  private static final System.Logger LOG = System.getLogger(HostCrashes.class.getName());

  /** Reboots that are under way: each of these machines reads its drive from us at once. */
  static final int MAX_AT_ONCE = 16;

  /** Of machines whose turn it is, asked about in one look. */
  private static final int MAX_LOOKS = 64;

  private final Ports ports;
  private final Engine engine;

  /** Disks whose machine may have to be rebooted by us. */
  private final Queue<UUID> waiting = new ArrayDeque<>();

  private final Set<UUID> underWay = new HashSet<>();

  /** Disks that the store still names although what follows from it is durable. */
  private final Set<UUID> toForget = new HashSet<>();

  HostCrashes(Ports ports, Engine engine) {
    this.ports = ports;
    this.engine = engine;
  }

  /**
   * Locks out whoever had a disk open that may lack writes. Call it before there is any target.
   *
   * @throws ControlException when the store does not say which disks these are, or the new secrets
   *     cannot be made durable: then nobody may be let in
   */
  void lockOut() {
    Set<UUID> lost;
    try {
      lost = ports.volumes().lostWrites();
    } catch (IOException e) {
      throw Failures.of(e);
    }
    if (!lost.isEmpty()) {
      long held = ports.database().write(rows -> rotate(rows, lost));
      LOG.log(
          System.Logger.Level.WARNING,
          "the host went down while {0} disk(s) were written to; {1} of them have a new secret and"
              + " keep whoever used them waiting until it boots or logs in anew",
          lost.size(),
          held);
      toForget.addAll(lost);
      forget();
    }
    waiting.addAll(
        ports
            .database()
            .read(rows ->
                rows.bindings().all().stream()
                    .filter(HostCrashes::isToBeCycled)
                    .map(Binding::disk)
                    .toList()));
  }

  /** All of it in one transaction: there is no crash between a new secret and what it is for. */
  private long rotate(Rows rows, Set<UUID> lost) {
    Instant now = ports.clock().instant();
    long rotated = 0;
    for (UUID disk : lost) {
      Optional<Binding> binding = rows.bindings().ofDisk(disk).filter(HostCrashes::mayHaveUsers);
      if (binding.isPresent()) {
        rotate(rows, binding.get(), now);
        rotated++;
      }
    }
    return rotated;
  }

  /** Nobody has the secret of a target that is yet to come; without a cache nothing is lost. */
  private static boolean mayHaveUsers(Binding binding) {
    return binding.state() != Binding.State.PREPARING
        && binding.writeCache() == WriteCache.WRITE_BACK;
  }

  private static void rotate(Rows rows, Binding binding, Instant now) {
    Optional<Node> node = binding.node().flatMap(id -> rows.nodes().find(id));
    long boot = node.map(Node::latestBoot).orElse(0L);
    rows.bindings().update(binding.rotated(new LostWrites(now, boot, Optional.empty())));
    rows.disks()
        .find(binding.disk())
        .ifPresent(disk ->
            rows.events()
                .append(
                    now,
                    Optional.of(disk.projectId()),
                    "disk.writes-lost",
                    Optional.of(disk.ref()),
                    message(disk, node)));
  }

  private static String message(Disk disk, Optional<Node> node) {
    return "The server's host went down while the "
        + disk.ref()
        + " was written to; writes that were acknowledged may be lost. "
        + node.map(n -> "The " + n.ref() + " is held until it reboots: m2 node explain " + n.name())
            .orElse(
                "Its secret has changed, so that nobody goes on over them unnoticed: m2 disk show "
                    + disk.name());
  }

  /** What cannot be forgotten now is tried again later; at worst a machine boots once too often. */
  private void forget() {
    VolumeStore volumes = ports.volumes();
    toForget.removeIf(disk -> {
      try {
        volumes.forgetLostWrites(disk);
        return true;
      } catch (IOException | RuntimeException e) {
        LOG.log(
            System.Logger.Level.ERROR,
            "the store does not forget that disk "
                + disk
                + " lost writes; it is asked again, and a restart before that reboots its machine"
                + " once more",
            e);
        return false;
      }
    });
  }

  /** Once in a while: what could not be done at once. */
  void housekeep() {
    forget();
  }

  private static boolean isToBeCycled(Binding binding) {
    return binding.node().isPresent()
        && binding.lostWrites().filter(lost -> lost.powerCycle().isEmpty()).isPresent();
  }

  /** Reboots machines that are held and that we can switch, as many as may boot together. */
  void powerCycle() {
    if (waiting.isEmpty()) {
      return;
    }
    underWay.removeIf(id ->
        ports
            .database()
            .read(rows -> rows.operations().find(id))
            .map(operation -> operation.state().isFinal())
            .orElse(true));
    List<UUID> busy = new ArrayList<>();
    for (int i = 0; i < MAX_LOOKS && underWay.size() < MAX_AT_ONCE && !waiting.isEmpty(); i++) {
      UUID disk = waiting.remove();
      switch (ports.database().read(rows -> turn(rows, disk))) {
        case Turn.NOW -> {
          if (!submit(disk)) {
            busy.add(disk);
          }
        }
        case Turn.LATER -> busy.add(disk);
        case Turn.NEVER -> {}
      }
    }
    waiting.addAll(busy);
  }

  private enum Turn {
    NOW,
    /** An operation works on the machine; it may reboot it, or end its use of the disk. */
    LATER,
    /** It boots already, or somebody else has to switch it. */
    NEVER
  }

  private Turn turn(Rows rows, UUID disk) {
    Optional<Node> node = held(rows, disk);
    if (node.isEmpty()) {
      return Turn.NEVER;
    }
    boolean busy =
        Claims.holder(rows, node.get().id())
            .filter(holder -> holder.state() != OperationState.WAITING)
            .isPresent();
    return busy ? Turn.LATER : Turn.NOW;
  }

  private Optional<Node> held(Rows rows, UUID disk) {
    return rows.bindings()
        .ofDisk(disk)
        .filter(HostCrashes::isToBeCycled)
        .flatMap(Binding::node)
        .flatMap(id -> rows.nodes().find(id))
        .filter(Node::isHeld)
        .filter(ports.power()::isAutomatic);
  }

  /** The operation is there if and only if the binding names it, so there is never a second one. */
  private boolean submit(UUID disk) {
    try {
      Operation operation =
          engine.submit(rows -> {
            Node node =
                held(rows, disk)
                    .orElseThrow(() ->
                        ControlException.of(
                            ErrorCode.SUPERSEDED, "The machine boots already.", "Do nothing."));
            Submission submission =
                NodeProcedures.switching(
                    rows,
                    node,
                    Map.of("action", PowerAction.CYCLE.name(), NodeProcedures.ONLY_IF_ON, "true"));
            Binding binding = rows.bindings().ofDisk(disk).orElseThrow();
            rows.bindings()
                .update(
                    binding.with(binding.lostWrites().map(lost -> lost.cycledBy(submission.id()))));
            return submission;
          });
      underWay.add(operation.id());
      return true;
    } catch (ControlException e) {
      LOG.log(System.Logger.Level.DEBUG, "the machine of disk " + disk + " is rebooted later", e);
      return false;
    }
  }
}
