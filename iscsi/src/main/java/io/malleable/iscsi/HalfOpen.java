package io.malleable.iscsi;

import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Connections whose login is not over: all that a stranger can have. Stateless. */
final class HalfOpen {
  /** A connection that waits for its peer ends at once when it is cut. */
  private static final long END_WAIT_MILLIS = 200;

  private HalfOpen() {}

  /**
   * Ends one of them where there is no room for more: the oldest one of the address that has most,
   * so that whoever opens many takes the place of his own.
   *
   * @return false when that made no room: all are logged in
   */
  static boolean makeRoom(Collection<Connection> connections) {
    Connection found = mostDispensable(connections);
    if (found == null) {
      return false;
    }
    found.cut(new SessionEnd(SessionEnd.Cause.TIMEOUT, "another connection needed its place"));
    try {
      return found.awaitEnd(TimeUnit.MILLISECONDS.toNanos(END_WAIT_MILLIS));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private static @Nullable Connection mostDispensable(Collection<Connection> connections) {
    Map<InetAddress, List<Connection>> byAddress = new HashMap<>();
    for (Connection connection : connections) {
      if (connection.loggingIn()) {
        byAddress
            .computeIfAbsent(connection.remoteAddress().getAddress(), key -> new ArrayList<>())
            .add(connection);
      }
    }
    Connection found = null;
    int most = 0;
    for (List<Connection> ofAddress : byAddress.values()) {
      Connection oldest = oldest(ofAddress);
      if (found == null
          || ofAddress.size() > most
          || (ofAddress.size() == most && oldest.olderThan(found))) {
        found = oldest;
        most = ofAddress.size();
      }
    }
    return found;
  }

  private static Connection oldest(List<Connection> connections) {
    Connection oldest = connections.getFirst();
    for (Connection connection : connections) {
      if (connection.olderThan(oldest)) {
        oldest = connection;
      }
    }
    return oldest;
  }
}
