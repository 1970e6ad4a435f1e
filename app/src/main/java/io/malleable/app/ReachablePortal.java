package io.malleable.app;

import io.malleable.server.PortalAddress;
import java.util.Optional;

/** The portal for a client: as advertised, as bound, or where the client found the API. */
record ReachablePortal(Optional<String> advertise, HostPort portal) implements PortalAddress {
  @Override
  public String reachedFrom(String apiHost) {
    if (advertise.isPresent()) {
      return new HostPort(advertise.get(), portal.port()).toString();
    }
    boolean everywhere = portal.host().equals("0.0.0.0") || portal.host().equals("::");
    return everywhere ? new HostPort(bare(apiHost), portal.port()).toString() : portal.toString();
  }

  private static String bare(String host) {
    return host.startsWith("[") && host.endsWith("]") ? host.substring(1, host.length() - 1) : host;
  }
}
