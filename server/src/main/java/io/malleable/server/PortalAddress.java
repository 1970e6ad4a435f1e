package io.malleable.server;

/** The target's portal as a client of the API can reach it. */
@FunctionalInterface
public interface PortalAddress {
  /**
   * The portal as {@code HOST:PORT}.
   *
   * @param apiHost by which the client reached the API; good for a portal that listens everywhere
   */
  String reachedFrom(String apiHost);
}
