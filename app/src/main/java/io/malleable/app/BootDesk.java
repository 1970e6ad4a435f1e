package io.malleable.app;

import io.malleable.control.BootDecision;
import io.malleable.control.BootEvents;
import io.malleable.control.BootStage;
import io.malleable.control.Control;
import io.malleable.control.Events;
import io.malleable.control.Nodes;
import io.malleable.netboot.BootDirectory;
import io.malleable.netboot.BootListener;
import io.malleable.netboot.BootPlan;
import io.malleable.netboot.ChapCredentials;
import io.malleable.netboot.Ipv4;
import io.malleable.netboot.MacAddress;
import io.malleable.server.ServerFacts.BootFacts;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;

/** Answers booting machines out of the control plane, and tells it what they do. */
final class BootDesk implements BootDirectory, BootListener {
  private static final System.Logger LOG = System.getLogger(BootDesk.class.getName());

  private static final int MAX_LEASES = 20_000;

  private final Nodes nodes;
  private final BootEvents events;
  private final MachinePortals portals;
  private final Events reports;
  private final BootOrigins origins;
  private final LongAdder scripts = new LongAdder();
  private final LongAdder otherScripts = new LongAdder();
  private final LongAdder failedDrives = new LongAdder();
  private final LongAdder readyReports = new LongAdder();

  /** Who has which address; TFTP knows only addresses. The eldest go. */
  private final Map<InetAddress, MacAddress> leases =
      Collections.synchronizedMap(
          new LinkedHashMap<>() {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<InetAddress, MacAddress> eldest) {
              return size() > MAX_LEASES;
            }
          });

  BootDesk(Control control, MachinePortals portals, BootOrigins origins) {
    this.origins = origins;
    this.nodes = control.nodes();
    this.events = control.bootEvents();
    this.portals = portals;
    this.reports = control.events();
  }

  @Override
  public BootPlan planFor(MacAddress mac, InetAddress from) {
    return switch (nodes.bootDecision(ours(mac))) {
      case BootDecision.Provisioned provisioned -> plan(provisioned, from);
      case BootDecision.NotProvisioned idle -> new BootPlan.NotProvisioned(idle.node().name());
      case BootDecision.NotYet soon -> new BootPlan.Wait(soon.node().name(), soon.reason());
      case BootDecision.Unknown _ -> new BootPlan.Unknown();
    };
  }

  private BootPlan plan(BootDecision.Provisioned provisioned, InetAddress from) {
    return new BootPlan.Provisioned(
        provisioned.node().name(),
        provisioned.initiator(),
        new BootPlan.DriveTarget(
            provisioned.target(), provisioned.lun(), List.of(portals.of(from))),
        Optional.of(
            new ChapCredentials(provisioned.chap().username(), provisioned.chap().secret())),
        Optional.empty());
  }

  BootFacts counters() {
    return new BootFacts(scripts.sum(), otherScripts.sum(), failedDrives.sum(), readyReports.sum());
  }

  @Override
  public void onScript(ScriptServed event) {
    if (event.plan() instanceof BootPlan.Provisioned provisioned) {
      scripts.increment();
      origins.remember(provisioned.target().name(), event.origin());
    } else {
      otherScripts.increment();
    }
    events.onScript(
        ours(event.mac()),
        event.firmware().name().toLowerCase(Locale.ROOT),
        event.link().remote().getHostAddress());
  }

  @Override
  public void onDriveFailed(DriveFailed event) {
    failedDrives.increment();
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
  public void onDhcp(DhcpExchange event) {
    Optional<BootStage> stage =
        switch (event.type()) {
          case DISCOVER -> Optional.of(BootStage.DHCP_DISCOVER);
          case OFFER -> Optional.of(BootStage.DHCP_OFFER);
          case REQUEST -> Optional.of(BootStage.DHCP_REQUEST);
          case ACK -> Optional.of(BootStage.DHCP_ACK);
          case DECLINE, NAK, RELEASE, INFORM -> Optional.empty();
        };
    String address = event.address().map(each -> " " + each).orElse("");
    stage.ifPresent(
        seen -> events.onNetworkStage(ours(event.mac()), seen, event.client() + address));
    event.address().ifPresent(each -> leases.put(each.toInetAddress(), event.mac()));
  }

  @Override
  public void onLoader(LoaderServed event) {
    // Beside another DHCP server only the link knows whose address it is.
    Optional<MacAddress> mac =
        event.mac().or(() -> Optional.ofNullable(leases.get(event.link().remote())));
    if (mac.isPresent() && event.transport().equals("tftp")) {
      events.onNetworkStage(ours(mac.get()), BootStage.TFTP, event.file());
    }
  }

  @Override
  public void onOtherDhcpServer(Ipv4 server, boolean expected) {
    if (!expected) {
      reports.report(
          "network.other-dhcp-server",
          "Another DHCP server answers on the segment: " + server + "; machines may follow it.");
    }
  }

  @Override
  public boolean onPhoneHome(PhoneHome event) {
    boolean known =
        event.token().isPresent()
            ? events.onPhoneHome(event.token().get())
            : event.mac().map(mac -> events.onPhoneHome(ours(mac))).orElse(false);
    if (known) {
      readyReports.increment();
    }
    return known;
  }

  private static io.malleable.control.MacAddress ours(MacAddress mac) {
    return new io.malleable.control.MacAddress(mac.toString());
  }
}
