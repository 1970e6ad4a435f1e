package io.malleable.app;

import io.malleable.control.BootDecision;
import io.malleable.control.BootEvents;
import io.malleable.control.Control;
import io.malleable.control.Nodes;
import io.malleable.netboot.BootDirectory;
import io.malleable.netboot.BootListener;
import io.malleable.netboot.BootPlan;
import io.malleable.netboot.ChapCredentials;
import io.malleable.netboot.MacAddress;
import io.malleable.netboot.Portal;
import java.lang.System.Logger.Level;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Answers booting machines out of the control plane, and tells it what they do. */
final class BootDesk implements BootDirectory, BootListener {
  private static final System.Logger LOG = System.getLogger(BootDesk.class.getName());

  private final Nodes nodes;
  private final BootEvents events;
  private final Portal portal;

  BootDesk(Control control, Portal portal) {
    this.nodes = control.nodes();
    this.events = control.bootEvents();
    this.portal = portal;
  }

  @Override
  public BootPlan planFor(MacAddress mac) {
    return switch (nodes.bootDecision(ours(mac))) {
      case BootDecision.Provisioned provisioned -> plan(provisioned);
      case BootDecision.NotProvisioned idle -> new BootPlan.NotProvisioned(idle.node().name());
      case BootDecision.NotYet soon -> new BootPlan.Wait(soon.node().name(), soon.reason());
      case BootDecision.Unknown _ -> new BootPlan.Unknown();
    };
  }

  private BootPlan plan(BootDecision.Provisioned provisioned) {
    return new BootPlan.Provisioned(
        provisioned.node().name(),
        provisioned.initiator(),
        new BootPlan.DriveTarget(provisioned.target(), provisioned.lun(), List.of(portal)),
        Optional.of(
            new ChapCredentials(provisioned.chap().username(), provisioned.chap().secret())),
        Optional.empty());
  }

  @Override
  public void onScript(ScriptServed event) {
    events.onScript(
        ours(event.mac()),
        event.firmware().name().toLowerCase(Locale.ROOT),
        event.link().remote().getHostAddress());
  }

  @Override
  public void onDriveFailed(DriveFailed event) {
    LOG.log(
        Level.WARNING,
        () ->
            "the machine "
                + event.mac()
                + " could not boot from its drive, attempt "
                + event.attempt()
                + "; its screen says why");
  }

  @Override
  public boolean onPhoneHome(PhoneHome event) {
    return event.token().isPresent()
        ? events.onPhoneHome(event.token().get())
        : event.mac().map(mac -> events.onPhoneHome(ours(mac))).orElse(false);
  }

  private static io.malleable.control.MacAddress ours(MacAddress mac) {
    return new io.malleable.control.MacAddress(mac.toString());
  }
}
