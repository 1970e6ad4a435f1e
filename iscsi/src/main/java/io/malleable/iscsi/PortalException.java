package io.malleable.iscsi;

import java.io.IOException;

/** A server cannot listen on one of its portals. */
public final class PortalException extends IOException {
  private static final long serialVersionUID = 1;

  private final transient Portal portal;
  private final IOException reason;

  PortalException(Portal portal, IOException cause) {
    super("cannot listen on " + portal.address() + ": " + cause.getMessage(), cause);
    this.portal = portal;
    this.reason = cause;
  }

  /** The one that was wanted. */
  public Portal portal() {
    return portal;
  }

  /** What the system said. */
  public IOException reason() {
    return reason;
  }
}
