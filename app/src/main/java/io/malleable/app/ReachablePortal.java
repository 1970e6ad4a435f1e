package io.malleable.app;

import io.malleable.server.PortalAddress;
import java.util.List;
import java.util.Optional;

/**
 * The portal for a client: as advertised, as bound, or where the client found the API. Of several,
 * the one at the address of the API that it used, else the first.
 */
record ReachablePortal(Optional<String> advertise, List<HostPort> portals)
    implements PortalAddress {
  ReachablePortal {
    portals = List.copyOf(portals);
  }

  @Override
  public String reachedFrom(String apiHost) {
    String host = bare(apiHost);
    HostPort portal =
        portals.stream()
            .filter(each -> each.host().equals(host))
            .findFirst()
            .orElse(portals.getFirst());
    if (advertise.isPresent()) {
      return new HostPort(advertise.get(), portal.port()).toString();
    }
    return (portal.isEverywhere() ? new HostPort(host, portal.port()) : portal).toString();
  }

  private static String bare(String host) {
    return host.startsWith("[") && host.endsWith("]") ? host.substring(1, host.length() - 1) : host;
  }
}
