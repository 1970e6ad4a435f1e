package io.malleable.iscsi;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;

/**
 * Bounds of a server. Start from {@link #of} and change what must be different.
 *
 * @param portals where to listen
 * @param maxConnections in all, logged in or not; when all are taken, one that is not logged in is
 *     cut for the next, of those from the address that has the most of them
 * @param maxSessionsPerTarget for each target
 * @param commandWindow outstanding commands of one session (MaxCmdSN)
 * @param maxBufferBytes direct memory for buffers of busy connections
 * @param loginTimeout from accept to full feature phase
 * @param pingInterval silence after which the initiator is asked whether it still lives
 * @param stallTimeout longest wait for an answer to that, for the rest of a PDU, for data that was
 *     asked for, and for the peer to take data
 * @param authenticationFailureDelay how long the answer to a wrong secret is held back
 * @param storeFullBusy how long writes for which the store has no space are answered BUSY, counted
 *     from the first, before they fail; at most {@link #MAX_STORE_FULL_BUSY}
 */
public record IscsiServerConfig(
    List<Portal> portals,
    int maxConnections,
    int maxSessionsPerTarget,
    int commandWindow,
    long maxBufferBytes,
    Duration loginTimeout,
    Duration pingInterval,
    Duration stallTimeout,
    Duration authenticationFailureDelay,
    Duration storeFullBusy) {
  /**
   * Linux gives a command that is answered BUSY up after 180 s (six times 30 s), with an error that
   * does not say why; what a process waits for in the kernel longer than 120 s is reported as hung.
   */
  public static final Duration MAX_STORE_FULL_BUSY = Duration.ofSeconds(150);

  public IscsiServerConfig {
    portals = List.copyOf(portals);
    requireRange("maxConnections", maxConnections, 1, 100_000);
    requireRange("maxSessionsPerTarget", maxSessionsPerTarget, 1, 100_000);
    requireRange("commandWindow", commandWindow, 1, 1024);
    if (maxBufferBytes < 4L * BufferPool.BUFFER_BYTES) {
      throw new IllegalArgumentException(
          "maxBufferBytes " + maxBufferBytes + "; give at least " + 4L * BufferPool.BUFFER_BYTES);
    }
    requirePositive("loginTimeout", loginTimeout);
    requirePositive("pingInterval", pingInterval);
    requirePositive("stallTimeout", stallTimeout);
    if (authenticationFailureDelay.isNegative()) {
      throw new IllegalArgumentException("authenticationFailureDelay is negative");
    }
    if (storeFullBusy.isNegative() || storeFullBusy.compareTo(MAX_STORE_FULL_BUSY) > 0) {
      throw new IllegalArgumentException(
          "storeFullBusy " + storeFullBusy + "; give 0 to " + MAX_STORE_FULL_BUSY);
    }
  }

  /** Bounds for a server with some thousand boot drives. */
  public static IscsiServerConfig of(List<Portal> portals) {
    return new IscsiServerConfig(
        portals,
        4096,
        64,
        128,
        512L << 20,
        Duration.ofSeconds(15),
        Duration.ofSeconds(20),
        Duration.ofSeconds(30),
        Duration.ofSeconds(1),
        Duration.ZERO);
  }

  public IscsiServerConfig withMaxConnections(int connections) {
    return with(c -> c.maxConnections = connections);
  }

  public IscsiServerConfig withMaxSessionsPerTarget(int sessions) {
    return with(c -> c.maxSessionsPerTarget = sessions);
  }

  public IscsiServerConfig withTimeouts(Duration login, Duration ping, Duration stall) {
    return with(c -> {
      c.loginTimeout = login;
      c.pingInterval = ping;
      c.stallTimeout = stall;
    });
  }

  public IscsiServerConfig withMaxBufferBytes(long bytes) {
    return with(c -> c.maxBufferBytes = bytes);
  }

  public IscsiServerConfig withStoreFullBusy(Duration busy) {
    return with(c -> c.storeFullBusy = busy);
  }

  private IscsiServerConfig with(Consumer<Changed> change) {
    Changed changed = new Changed(this);
    change.accept(changed);
    return new IscsiServerConfig(
        portals,
        changed.maxConnections,
        changed.maxSessionsPerTarget,
        commandWindow,
        changed.maxBufferBytes,
        changed.loginTimeout,
        changed.pingInterval,
        changed.stallTimeout,
        authenticationFailureDelay,
        changed.storeFullBusy);
  }

  /** Those that can be changed, on their way into a copy. */
  private static final class Changed {
    private int maxConnections;
    private int maxSessionsPerTarget;
    private long maxBufferBytes;
    private Duration loginTimeout;
    private Duration pingInterval;
    private Duration stallTimeout;
    private Duration storeFullBusy;

    Changed(IscsiServerConfig from) {
      maxConnections = from.maxConnections;
      maxSessionsPerTarget = from.maxSessionsPerTarget;
      maxBufferBytes = from.maxBufferBytes;
      loginTimeout = from.loginTimeout;
      pingInterval = from.pingInterval;
      stallTimeout = from.stallTimeout;
      storeFullBusy = from.storeFullBusy;
    }
  }

  private static void requireRange(String field, int value, int min, int max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(field + " " + value + "; give " + min + " to " + max);
    }
  }

  private static void requirePositive(String field, Duration value) {
    if (value.isNegative() || value.isZero()) {
      throw new IllegalArgumentException(field + " " + value + "; give a positive duration");
    }
  }
}
