package io.malleable.app;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Where the server listens, with the ports that were chosen.
 *
 * @param portals of the targets, in the order in which they were named
 */
record Addresses(HostPort http, HostPort bootHttp, List<HostPort> portals) {
  Addresses {
    portals = List.copyOf(portals);
  }

  /** For a client on this machine: a wildcard address is no destination. */
  String apiUrl() {
    return "http://" + reachable(http);
  }

  /** The first portal, for those who need one. */
  HostPort iscsi() {
    return portals.getFirst();
  }

  /** All of them as the setting takes them. */
  static String joined(List<HostPort> portals) {
    return portals.stream().map(HostPort::toString).collect(Collectors.joining(","));
  }

  private static HostPort reachable(HostPort listener) {
    return switch (listener.host()) {
      case "0.0.0.0" -> new HostPort("127.0.0.1", listener.port());
      case "::" -> new HostPort("::1", listener.port());
      default -> listener;
    };
  }
}
