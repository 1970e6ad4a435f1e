package io.malleable.app;

/** Where the server listens, with the ports that were chosen. */
record Addresses(HostPort http, HostPort bootHttp, HostPort iscsi) {
  /** For a client on this machine: a wildcard address is no destination. */
  String apiUrl() {
    return "http://" + reachable(http);
  }

  private static HostPort reachable(HostPort listener) {
    return switch (listener.host()) {
      case "0.0.0.0" -> new HostPort("127.0.0.1", listener.port());
      case "::" -> new HostPort("::1", listener.port());
      default -> listener;
    };
  }
}
