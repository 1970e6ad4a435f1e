package io.malleable.control;

import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * The iSCSI target as this room needs it. All methods may be called from any thread and may be
 * repeated.
 */
public interface Targets {
  /**
   * Opens the disk's volume and makes its target known; sessions may come from then on. A target
   * that is there with the same definition is left alone, one with another, or one whose {@link
   * #withdraw} failed, is replaced as by {@link #withdraw} first. When this fails there is no
   * target and the volume is closed, or it is as after a failed {@link #withdraw}.
   */
  void define(Definition definition) throws IOException;

  /**
   * Cuts the target's sessions and forgets it. Returns when no I/O is in flight any more and the
   * volume is closed: from then on another node may have the disk. An absent target is fine.
   *
   * @return why the volume could not be flushed, so that what was written since its last flush may
   *     be lost; the target is gone all the same
   * @throws IOException I/O is still in flight. The target takes no session any more; the call may
   *     be repeated
   */
  Optional<String> withdraw(UUID disk) throws IOException;

  /** The disks whose targets are there: machines can log in to them. */
  Set<UUID> defined();

  /** What goes on at the disk's target, from memory; {@link Use#NONE} when there is none. */
  Use use(UUID disk);

  /**
   * The persistent reservations on the disk, from memory; they outlive sessions and restarts of the
   * server, but not the binding. Empty when the disk has no target.
   */
  Optional<Reservations> reservations(UUID disk);

  /**
   * Ends the persistent reservations on a disk and forgets what is saved of them, whether it has a
   * target or not.
   */
  void clearReservations(UUID disk) throws IOException;

  /**
   * Who may use a disk beside whom, as the machines on it have settled (SPC-4 5.13).
   *
   * @param type of the reservation; absent when there are only registrations
   * @param persistent whether they outlive a restart of the server
   */
  record Reservations(Optional<String> type, boolean persistent, List<Registrant> registrants) {
    public Reservations {
      registrants = List.copyOf(registrants);
    }
  }

  /**
   * An initiator that has registered a key.
   *
   * @param port its port, the ISID in hexadecimal digits
   * @param holder whether the reservation is its own
   */
  record Registrant(String initiator, String port, long key, boolean holder) {}

  /**
   * A target.
   *
   * @param name {@link Binding#targetName}
   * @param initiator the only initiator that is let in; absent means any that knows the secret
   * @param identity of the node that boots from it
   */
  record Definition(
      UUID disk,
      String name,
      Optional<String> initiator,
      ChapCredentials chap,
      WriteCache writeCache,
      Optional<Identity> identity) {}

  /**
   * Who a node is to the system that it boots.
   *
   * @param sshKeys public keys of those who may log in, each one line
   * @param phoneHomeToken with which the system says that it is up
   */
  record Identity(Ref node, List<String> sshKeys, String phoneHomeToken) {
    public Identity {
      sshKeys = List.copyOf(sshKeys);
    }

    @Override
    public String toString() {
      return "Identity[node=" + node + "]";
    }
  }

  /**
   * Use of a target.
   *
   * @param sessions logged in now
   * @param readBytes since the target was defined
   * @param writtenBytes since the target was defined
   * @param failedLogins since the target was defined: unknown initiators and wrong secrets
   * @param refusal of writes for lack of room, while there is one
   */
  record Use(
      int sessions,
      long readBytes,
      long writtenBytes,
      long failedLogins,
      Optional<Refusal> refusal) {
    public static final Use NONE = new Use(0, 0, 0, 0);

    /** Whose writes all find room. */
    public Use(int sessions, long readBytes, long writtenBytes, long failedLogins) {
      this(sessions, readBytes, writtenBytes, failedLogins, Optional.empty());
    }
  }

  /**
   * That writes which need more room are not done.
   *
   * @param reason a sentence without its full stop: why, and what may be done
   * @param since the first of them
   */
  record Refusal(String reason, Instant since) {}
}
