package io.malleable.iscsi;

import java.net.SocketAddress;

/**
 * What happens on a server's sessions, in order. Called by one thread of its own, so that a slow
 * listener never delays I/O; if it falls behind by more than the server's queue holds, events are
 * dropped and the log says how many.
 */
public interface TargetListener {
  /**
   * A session entered its full feature phase.
   *
   * @param reinstated whether it took the place of an older session of the same initiator port
   */
  default void onLogin(SessionInfo session, boolean reinstated) {}

  /** A login failed for who asked or what it could prove; never tells the secret. */
  default void onAuthenticationFailure(
      String initiator, String target, SocketAddress remoteAddress, String reason) {}

  default void onFirstRead(SessionInfo session) {}

  default void onFirstWrite(SessionInfo session) {}

  default void onEnd(SessionInfo session, SessionEnd end) {}
}
