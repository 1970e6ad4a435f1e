package io.malleable.control;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * Who may log in to a disk's target; there is one per attached or exposed disk.
 *
 * @param node the node that boots from it; absent for a disk that is only exposed
 * @param phoneHomeToken with which the booted system says that it is ready
 * @param sshKeys public keys of those who may log in to what boots from it
 * @param writeCache of the target, as long as the binding lasts
 * @param lostWrites what the disk may lack since the host of the server went down
 */
public record Binding(
    UUID disk,
    Optional<UUID> node,
    State state,
    ChapCredentials chap,
    String phoneHomeToken,
    List<String> sshKeys,
    WriteCache writeCache,
    Optional<LostWrites> lostWrites) {
  public Binding {
    sshKeys = List.copyOf(sshKeys);
  }

  /** Whether the target is there. */
  public enum State {
    /** Claimed; the target is not there yet. */
    PREPARING,
    /** The target is there, also after a restart. */
    DEFINED,
    /** The target is going, or gone. */
    WITHDRAWING
  }

  /** The name of a disk's target. */
  public static String targetName(UUID disk) {
    return "iqn.2026-11.io.malleable:" + disk;
  }

  Binding withState(State newState) {
    return new Binding(disk, node, newState, chap, phoneHomeToken, sshKeys, writeCache, lostWrites);
  }

  /**
   * The same with a new secret and token: who has the old ones neither logs in nor reports ready.
   */
  Binding rotated(LostWrites lost) {
    return new Binding(
        disk,
        node,
        state,
        new ChapCredentials(chap.username(), RandomText.chapSecret()),
        RandomText.token(),
        sshKeys,
        writeCache,
        Optional.of(lost));
  }

  Binding with(Optional<LostWrites> lost) {
    return new Binding(disk, node, state, chap, phoneHomeToken, sshKeys, writeCache, lost);
  }

  @Override
  public String toString() {
    return "Binding[disk=" + disk + ", node=" + node + ", state=" + state + "]";
  }
}
