package io.malleable.app;

import io.malleable.control.BootEvents;
import io.malleable.iscsi.SessionEnd;
import io.malleable.iscsi.SessionInfo;
import io.malleable.iscsi.TargetListener;
import java.lang.System.Logger.Level;
import java.net.SocketAddress;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Tells the boot timeline what happens at the targets. Called by one thread of the target's. */
final class TargetEvents implements TargetListener {
  private static final System.Logger LOG = System.getLogger(TargetEvents.class.getName());

  private static final String NAME_PREFIX = "iqn.2026-11.io.malleable:";

  /** The target exists before the control plane does; it is told before the portal opens. */
  private volatile @Nullable BootEvents boots;

  private volatile Consumer<Optional<UUID>> failures = disk -> {};

  void connect(BootEvents events, Consumer<Optional<UUID>> onFailedLogin) {
    boots = events;
    failures = onFailedLogin;
  }

  @Override
  public void onLogin(SessionInfo session, boolean reinstated) {
    LOG.log(
        Level.INFO,
        () ->
            session.initiator()
                + " logged in to "
                + (session.target().isEmpty() ? "discovery" : session.target())
                + " from "
                + session.remoteAddress()
                + (reinstated ? ", in place of its older session" : ""));
    BootEvents events = boots;
    Optional<UUID> disk = disk(session.target());
    if (events != null && disk.isPresent()) {
      events.onLogin(disk.get(), session.initiator(), session.isid());
    }
  }

  @Override
  public void onAuthenticationFailure(
      String initiator, String target, SocketAddress remoteAddress, String reason) {
    LOG.log(
        Level.WARNING,
        () -> "refused " + initiator + " at " + target + " from " + remoteAddress + ": " + reason);
    failures.accept(disk(target));
  }

  @Override
  public void onFirstRead(SessionInfo session) {
    BootEvents events = boots;
    Optional<UUID> disk = disk(session.target());
    if (events != null && disk.isPresent()) {
      events.onFirstRead(disk.get());
    }
  }

  @Override
  public void onFirstWrite(SessionInfo session) {
    BootEvents events = boots;
    Optional<UUID> disk = disk(session.target());
    if (events != null && disk.isPresent()) {
      events.onFirstWrite(disk.get());
    }
  }

  @Override
  public void onEnd(SessionInfo session, SessionEnd end) {
    LOG.log(
        Level.INFO,
        () ->
            "session of "
                + session.initiator()
                + " with "
                + session.target()
                + " ended: "
                + end.cause()
                + ", "
                + end.detail());
  }

  /** The disk of a target; none for discovery and for names that are not ours. */
  static Optional<UUID> disk(String target) {
    if (!target.startsWith(NAME_PREFIX)) {
      return Optional.empty();
    }
    try {
      return Optional.of(UUID.fromString(target.substring(NAME_PREFIX.length())));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
