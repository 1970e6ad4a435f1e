package io.malleable.netboot;

import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Settings of the boot listener.
 *
 * @param listen where to listen; port 0 takes a free one
 * @param advertise host name or address literal for URLs and portals; empty: the address by which
 *     the machine reached the listener
 * @param loaders where boot loaders come from
 * @param retryInterval how often a machine without a drive asks again, before jitter
 * @param maxConnections at once; who finds none free is told to come again
 */
public record BootHttpConfig(
    InetSocketAddress listen,
    Optional<String> advertise,
    LoaderDirectory loaders,
    Duration retryInterval,
    int maxConnections) {
  private static final int MAX_CONNECTIONS = 4096;

  private static final Pattern HOST =
      Pattern.compile("[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-fA-F:.]{2,45}");

  public BootHttpConfig {
    advertise.ifPresent(host -> {
      if (!HOST.matcher(host).matches()) {
        throw new IllegalArgumentException(
            "advertise must be a host name or an address without a port: " + host);
      }
    });
    if (retryInterval.toSeconds() < 1 || retryInterval.toSeconds() > 600) {
      throw new IllegalArgumentException("retryInterval must be 1 s to 10 min: " + retryInterval);
    }
    if (maxConnections < 1) {
      throw new IllegalArgumentException("maxConnections must be at least 1: " + maxConnections);
    }
  }

  /** With as many connections as a rack needs. */
  public BootHttpConfig(
      InetSocketAddress listen,
      Optional<String> advertise,
      LoaderDirectory loaders,
      Duration retryInterval) {
    this(listen, advertise, loaders, retryInterval, MAX_CONNECTIONS);
  }

  public BootHttpConfig withMaxConnections(int connections) {
    return new BootHttpConfig(listen, advertise, loaders, retryInterval, connections);
  }

  /** The settings that suit most: the distribution's loaders, a question every ten seconds. */
  public static BootHttpConfig on(InetSocketAddress listen) {
    return new BootHttpConfig(
        listen, Optional.empty(), LoaderDirectory.ofDistribution(), Duration.ofSeconds(10));
  }
}
